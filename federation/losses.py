"""Contrastive losses over one batch of pictures and captions."""

from __future__ import annotations

import torch
from torch import Tensor

from federation.errors import ShapeError


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, names: Tensor) -> Tensor:
    """Symmetric InfoNCE (Radford et al. 2021, eq. 1) in which every product of the same name is a positive.

    41 % of a real catalogue's products share their name with another: pushing those apart would teach that a caption
    does not fit its own picture. The target spreads evenly over a row's positives.

    Args:
        image: (B, D) unit-norm; row i matches text row i.
        text: (B, D) unit-norm.
        scale: () inverse temperature, already exponentiated.
        names: (B,) integers; equal numbers mean the same name.

    Returns:
        () mean loss over both directions, in nats.

    Raises:
        ShapeError: the batches differ in shape.
    """
    if image.shape != text.shape or names.shape != image.shape[:1]:
        raise ShapeError(f"images {tuple(image.shape)}, texts {tuple(text.shape)}, names {tuple(names.shape)}.")
    logits = scale * image @ text.T  # (B, B)
    same = (names[:, None] == names[None, :]).to(logits.dtype)
    target = same / same.sum(dim=1, keepdim=True)  # symmetric: rows of equal names are equal
    return (_cross_entropy(logits, target) + _cross_entropy(logits.T, target)) / 2


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
