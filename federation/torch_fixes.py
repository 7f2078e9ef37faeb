"""The one place that mends PyTorch's surroundings before open_clip is imported."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import torch

_KEPT_ALIVE: list[torch.library.Library] = []
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def prepare_for_open_clip() -> None:
    """Make ``import open_clip`` work beside a CPU build of torch, and keep it off the network.

    A CPU torch may meet a torchvision whose compiled operators were built for CUDA and cannot be loaded;
    ``import torchvision`` then fails on the schemas of ``nms`` and ``qnms``. Nothing here calls those operators, so
    declaring the schemas is enough; it is done only when the operators are missing.
    """
    # Every tower comes from a package or a local path: a library that asks the hub anyway shall fail at once.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if _KEPT_ALIVE or _torchvision_operators_load():
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _KEPT_ALIVE.append(library)


def _torchvision_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    for extension in Path(next(iter(spec.submodule_search_locations))).glob("_C.*"):
        try:
            torch.ops.load_library(str(extension))  # type: ignore[no-untyped-call]
        except OSError:
            continue
    return hasattr(torch.ops.torchvision, "nms")


def compute_alone() -> None:
    """One thread for this process's own tensors: small ones gain nothing from more, and lose on a busy machine."""
    torch.set_num_threads(1)
