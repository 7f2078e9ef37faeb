"""Replies of a large model's shapes, for benchmarks that need no training: drawn, and averaged exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict

from federation.tensors import Tensor32, Tensors


def vit_b_32() -> dict[str, tuple[int, ...]]:
    """Shapes of the 151,277,313 parameters of CLIP ViT-B/32, under open_clip's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "positional_embedding": (77, 512),
        "text_projection": (512, 512),
        "logit_scale": (),
        "visual.class_embedding": (768,),
        "visual.positional_embedding": (50, 768),
        "visual.proj": (768, 512),
        "visual.conv1.weight": (768, 3, 32, 32),
        "token_embedding.weight": (49408, 512),
    }
    norms = {"visual.ln_pre": 768, "visual.ln_post": 768, "ln_final": 512}
    for tower, width in (("visual.transformer", 768), ("transformer", 512)):
        for block in (f"{tower}.resblocks.{number}" for number in range(12)):
            norms |= {f"{block}.ln_1": width, f"{block}.ln_2": width}
            layers = {"attn.in_proj_": (3, 1), "attn.out_proj.": (1, 1), "mlp.c_fc.": (4, 1), "mlp.c_proj.": (1, 4)}
            for layer, (rows, columns) in layers.items():
                shapes[f"{block}.{layer}weight"] = (rows * width, columns * width)
                shapes[f"{block}.{layer}bias"] = (rows * width,)
    return shapes | {f"{norm}.{part}": (width,) for norm, width in norms.items() for part in ("weight", "bias")}


def drawn(like: Tensors, seed: int) -> Tensors:
    """An update of unit variance."""
    draw = np.random.default_rng(seed).standard_normal
    return {name: np.asarray(draw(array.shape, np.float32), np.float32) for name, array in like.items()}


def pulled(like: Tensors, clients: int) -> Iterator[ArrayRecord]:
    """Replies, each made when it is asked for, with no copy beyond its own bytes."""
    noise = np.random.default_rng(0).standard_normal(1 << 20, np.float32)
    for number in range(clients):
        values = np.roll(noise, number)
        record = ArrayRecord()
        for name, array in like.items():
            record[name] = Array(
                dtype="float32", shape=array.shape, stype="numpy.ndarray", data=npy(values, array.shape)
            )
        yield record
        del record


def npy(values: Tensor32, shape: tuple[int, ...]) -> bytes:
    """A file in NumPy's format that repeats ``values``."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    whole, rest = divmod(math.prod(shape), values.size)
    return b"".join(
        [b"\x93NUMPY\x01\x00", len(text).to_bytes(2, "little"), text, *[values.data] * whole, values[:rest].data]
    )


def error(found: Tensors, replies: list[RecordDict]) -> float:
    """Largest distance from the mean in double precision; values have unit variance."""
    weights = np.array([reply.metric_records["metrics"]["num-examples"] for reply in replies], np.float64)
    records = [reply.array_records["arrays"] for reply in replies]
    worst = 0.0
    for name, values in found.items():
        exact = sum(
            w * r[name].numpy().astype(np.float64) for w, r in zip(weights / weights.sum(), records, strict=True)
        )
        worst = max(worst, float(np.abs(values - exact).max()))
    return worst
