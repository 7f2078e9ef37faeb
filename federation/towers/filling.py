"""Pretrained (or, for tests, reproducibly random) weights into a freshly built open_clip model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from federation.errors import WeightsError
from federation.presets import Preset

EMBEDDING_BOUND = 0.25


def fill(model: Any, preset: Preset) -> None:
    """Load every file of weights that the preset names.

    Raises:
        WeightsError: a file is missing, is not the pinned one, or does not fit the architecture.
    """
    for weights in preset.weights:
        if weights.loader == "efficientnet_in_order":
            _fill_in_order(model.visual.trunk, torch.load(weights.verified_path(), weights_only=True))
        elif weights.loader == "open_clip_checkpoint":
            _fill_from_checkpoint(model, weights.verified_path())
        elif weights.loader != "open_clip":
            raise WeightsError(f"Unknown loader {weights.loader!r} for {weights.path}.", hint="Check the preset.")
    if preset.random_seed is not None:
        fill_at_random(model, preset.random_seed)


def _fill_from_checkpoint(model: nn.Module, path: Path) -> None:
    from open_clip.factory import load_checkpoint

    try:
        load_checkpoint(model, str(path), strict=True, weights_only=True)
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path.name} does not fit the architecture: {str(error).splitlines()[0]}",
            hint="Name the architecture that the file was trained with.",
        ) from None


def _fill_in_order(trunk: nn.Module, saved: dict[str, Tensor]) -> None:
    """Load an EfficientNet whose keys are named differently but come in the same order as timm's."""
    values = [tensor for name, tensor in saved.items() if not name.startswith("_fc.")]
    expected = trunk.state_dict()
    if [v.shape for v in values] != [e.shape for e in expected.values()]:
        raise WeightsError("The vision tower's weights do not fit its architecture.", hint="Check the preset.")
    trunk.load_state_dict(dict(zip(expected, values, strict=True)))


def fill_at_random(module: nn.Module, seed: int) -> None:
    """Uniform weights from integers of PCG64, which are the same on every machine (torch's own are not)."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim >= 2 or "embedding" in name:
                bound = EMBEDDING_BOUND if "embedding" in name else (3 / parameter.shape[-1]) ** 0.5
                draws = generator.random(tuple(parameter.shape)) * 2 - 1
                parameter.copy_(torch.from_numpy((draws * bound).astype(np.float32)))
            elif name.endswith("bias"):
                parameter.zero_()
