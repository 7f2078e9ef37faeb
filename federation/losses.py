"""Contrastive losses over one batch of pictures and captions."""

from __future__ import annotations

import torch
from torch import Tensor

from federation.errors import ShapeError


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, positives: Tensor) -> Tensor:
    """Symmetric InfoNCE (Radford et al. 2021, eq. 1) with any number of positives in a row.

    41 % of a real catalogue's products share their name with another: pushing those apart would teach that a caption
    does not fit its own picture. The target spreads evenly over a row's positives.

    Args:
        image: (B, D) unit-norm; row i matches text row i.
        text: (B, D) unit-norm.
        scale: () inverse temperature, already exponentiated.
        positives: (B, B) bool; [i, j]: text j describes picture i. The diagonal is true.

    Returns:
        () mean loss over both directions, in nats.

    Raises:
        ShapeError: the batches differ in shape.
    """
    if image.shape != text.shape or positives.shape != (len(image), len(text)):
        raise ShapeError(f"images {tuple(image.shape)}, texts {tuple(text.shape)}, positives {tuple(positives.shape)}.")
    logits = scale * image @ text.T  # (B, B)
    target = positives.to(logits.dtype)
    return (_cross_entropy(logits, target) + _cross_entropy(logits.T, target.T)) / 2


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    target = target / target.sum(dim=1, keepdim=True)
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
