"""The heads: one a tower, from its features into the common space, and the temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from federation.presets import Preset

MAX_SCALE = 100.0
"""Radford et al. 2021 clip the inverse temperature here: beyond it, training becomes unstable."""
HIDDEN = 512


class Residual(nn.Module):
    """A linear head plus a two-layer correction that starts at zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.first, self.second = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs) → (B, outputs)"""
        correction = self.second(functional.gelu(self.first(features)))
        return self.linear(features) + correction  # type: ignore[no-any-return]


class Heads(nn.Module):
    """Maps both towers' features into one space of unit vectors.

    Where the preset says so, features are standardised (per product, no learnt part) first: the scales of two towers
    that never met differ by an order of magnitude.
    """

    def __init__(self, preset: Preset, *, head: str = "linear", seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self._standardise = preset.standardise
        self.image = _head(head, preset.image_features, preset.embed_dim, generator)
        self.text = _head(head, preset.text_features, preset.embed_dim, generator)
        self.log_scale = nn.Parameter(torch.tensor(math.log(preset.init_scale)))

    def embed_images(self, features: Tensor) -> Tensor:
        """(B, image_features) → (B, D) unit vectors."""
        return functional.normalize(self.image(features), dim=-1)

    def embed_texts(self, features: Tensor) -> Tensor:
        """(B, text_features) → (B, D) unit vectors."""
        return functional.normalize(self.text(features), dim=-1)

    def prepare(self, features: Tensor) -> Tensor:
        """Features as the heads take them, before dropout."""
        return functional.layer_norm(features, features.shape[-1:]) if self._standardise else features

    @property
    def scale(self) -> Tensor:
        """() inverse temperature in [1, MAX_SCALE]."""
        return self.log_scale.clamp(0.0, math.log(MAX_SCALE)).exp()


def linear_part(head: nn.Module) -> nn.Linear:
    """The linear map of a head of either kind, where pretrained projections go."""
    found = head.linear if isinstance(head, Residual) else head
    if not isinstance(found, nn.Linear):
        raise TypeError(f"{type(head).__name__} is no head")
    return found


def _head(kind: str, inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    head: nn.Module = Residual(inputs, outputs) if kind == "residual" else nn.Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        linear_part(head).weight.normal_(std=inputs**-0.5, generator=generator)
        if isinstance(head, Residual):
            head.first.weight.normal_(std=inputs**-0.5, generator=generator)
            for parameter in (head.first.bias, head.second.weight, head.second.bias):
                parameter.zero_()
    return head
