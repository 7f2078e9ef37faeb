"""Stages that only answer: batch norms folded into the convolutions before them, weights in bfloat16 where that pays.

Never for training: sums come out in another order, and what a run learns must not depend on where it ran.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from federation.precision import Precision, Wanted, measure
from federation.towers import Towers
from federation.towers.stages import Hidden, Stage, Tower, run

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PROBES = (
    "Puma Men Black Running Shoes", "Fabindia Women Printed Beige Kurta", "Red shirt", "watch",
    "Titan Women Gold Dial Analog Watch with a Brown Leather Strap", "Blue jeans", "Scullers Kids Pink T-shirt",
    "Lino Perros Women Casual Pink Handbag",
)  # fmt: skip
"""As long as titles and queries are; as many pictures are drawn."""

log = structlog.get_logger(__name__)


def served(towers: Towers, wanted: Wanted) -> Towers:
    """Both towers as they serve, each in the precision that is wanted or that a trial finds; the log says which.

    A trial takes a moment for `lite`, and some seconds for a ViT-B/32. On a GPU there is none: float32 is taken.
    """
    pictures = Hidden(torch.from_numpy(drawn(towers.preset.image_size, len(PROBES))))
    image, image_precision = _served("image", towers, towers.image, pictures, wanted)
    text, text_precision = _served("text", towers, towers.text, towers.tokens(PROBES), wanted)
    return towers.serving(image, text, precisions=(image_precision, text_precision))


def _served(kind: str, towers: Towers, tower: Tower, probes: Hidden, wanted: Wanted) -> tuple[Tower, Precision]:
    if wanted == "auto" and towers.device.type != "cpu":
        wanted = "float32"
    if wanted != "auto":
        return served_tower(tower, DTYPES[wanted]), wanted
    candidates = {name: served_tower(tower, dtype) for name, dtype in DTYPES.items()}
    with torch.inference_mode(), _one_thread():
        trial = measure(lambda precision: run(candidates[precision].modules(), probes).values)
    log.info(
        "the precision of a tower is chosen",
        tower=kind,
        preset=towers.preset.name,
        precision=trial.chosen,
        float32_ms=round(trial.float32_s * 1000, 1),
        bfloat16_ms=round(trial.bfloat16_s * 1000, 1),
        agreement=round(trial.agreement, 5),
    )
    return candidates[trial.chosen], trial.chosen


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would be what is timed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def drawn(size: int, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """(count, size, size, 3): things of some colours on white, as product photos are."""
    generator = np.random.default_rng(seed)
    pictures = np.full((count, size, size, 3), 255, np.uint8)
    for picture in pictures:
        for _ in range(6):
            top, left = generator.integers(0, size // 2, 2)
            height, width = generator.integers(size // 8, size // 2, 2)
            picture[top : top + height, left : left + width] = generator.integers(0, 256, 3)
        # Cloth has a grain.
        picture[:] = np.clip(picture + generator.normal(0, 4, picture.shape), 0, 255)
    return pictures


def served_tower(tower: Tower, dtype: torch.dtype) -> Tower:
    """The tower as it serves; float32 stages that have nothing to fold are shared with ``tower``."""
    first, *blocks, last = (served_stage(stage, dtype) for stage in tower.modules())
    return replace(tower, entry=first, blocks=blocks, exit=last)


def served_stages(stages: Sequence[Stage], dtype: torch.dtype) -> list[Stage]:
    """Some stages of a tower as they serve, for what was cached below them."""
    return [_Enter(dtype), *(served_stage(stage, dtype) for stage in stages)] if stages else []


def served_stage(stage: Stage, dtype: torch.dtype) -> Stage:
    """One stage as it serves; ``stage`` stays as it is."""
    folded = stage.folded()
    if dtype == torch.float32:
        return folded
    # Folded first, rounded once. Pixels are normalised in float32: rounded means would shift every pixel alike.
    normalise = folded._modules.get("normalise")
    rounded = copy.deepcopy(folded).to(dtype)
    if normalise is not None:
        rounded.normalise = _Rounded(normalise, dtype)
    return rounded


class _Enter(Stage):
    """Brings cached activations into the precision of the stages that follow; pixels and token ids stay."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, hidden: Hidden) -> Hidden:
        values = hidden.values
        return Hidden(values.to(self.dtype) if values.is_floating_point() else values, hidden.lengths)


class _Rounded(nn.Module):
    def __init__(self, inner: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = inner, dtype

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.inner(pixels)
        return found.to(self.dtype)
