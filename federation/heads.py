"""The trainable part: one linear head a tower and a temperature. Only this travels between clients and coordinator."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from federation.errors import HeadsError
from federation.presets import Preset
from federation.tensors import Tensor32, Tensors

MAX_SCALE = 100.0
"""Radford et al. 2021 clip the inverse temperature here: beyond it, training becomes unstable."""


class Heads(nn.Module):
    """Maps both towers' features into one space of unit vectors.

    Features are standardised (per product, no learnt part) first: the towers' scales differ by an order of magnitude.
    """

    def __init__(self, preset: Preset, *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.image = nn.Linear(preset.image_features, preset.embed_dim, bias=False)
        self.text = nn.Linear(preset.text_features, preset.embed_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(preset.init_scale)))
        with torch.no_grad():
            for layer in (self.image, self.text):
                layer.weight.normal_(std=layer.in_features**-0.5, generator=generator)

    def embed_images(self, features: Tensor) -> Tensor:
        """(B, image_features) → (B, D) unit vectors."""
        return functional.normalize(self.image(_standardised(features)), dim=-1)

    def embed_texts(self, features: Tensor) -> Tensor:
        """(B, text_features) → (B, D) unit vectors."""
        return functional.normalize(self.text(_standardised(features)), dim=-1)

    @property
    def scale(self) -> Tensor:
        """() inverse temperature in [1, MAX_SCALE]."""
        return self.log_scale.clamp(0.0, math.log(MAX_SCALE)).exp()


def _standardised(features: Tensor) -> Tensor:
    return functional.layer_norm(features, features.shape[-1:])


def tensors_of(heads: Heads) -> Tensors:
    """A copy of the heads' state."""
    return {name: tensor.detach().numpy().copy() for name, tensor in heads.state_dict().items()}


def heads_from(preset: Preset, tensors: Mapping[str, Tensor32]) -> Heads:
    """Heads with this state.

    Raises:
        HeadsError: names, shapes or types are not the preset's, or a value is not finite.
    """
    heads = Heads(preset)
    expected = {name: tuple(tensor.shape) for name, tensor in heads.state_dict().items()}
    found = {name: tuple(array.shape) for name, array in tensors.items()}
    if found != expected:
        raise HeadsError(
            f"The heads hold {found}, the preset {preset.name} expects {expected}.", hint="Take heads of this preset."
        )
    for name, array in tensors.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise HeadsError(f"The tensor {name} is not finite float32.", hint="The file is damaged: train again.")
    heads.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    return heads.eval()


def initial_tensors(preset: Preset, *, seed: int) -> Tensors:
    """The untrained heads: random projections, the zero-shot baseline of package towers."""
    return tensors_of(Heads(preset, seed=seed))
