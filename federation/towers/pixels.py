"""The common beginning of every image tower: bytes of pixels to normalised floats."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """(B, S, S, 3) uint8 → (B, 3, S, S) float32, channels last in memory."""

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalise and bring channels to the front."""
        return ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
