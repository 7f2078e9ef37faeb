"""Where tensors are computed on: a GPU where there is one, or else the CPU."""

from __future__ import annotations

import torch


def compute_device() -> torch.device:
    """The first CUDA device that this process may use (``CUDA_VISIBLE_DEVICES`` hides them), or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
