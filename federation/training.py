"""A client's share of a round: train the heads on cached features, return the delta."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from federation.config import FederationConfig
from federation.errors import NothingToLearn
from federation.features import ProductFeatures
from federation.heads import Heads, heads_from, tensors_of
from federation.losses import contrastive_loss
from federation.presets import Preset
from federation.tensors import Tensors, subtract

MIN_BATCH = 2
"""A contrastive batch of one product has nothing to contrast with."""


@dataclass(frozen=True)
class LocalUpdate:
    """What one client learned in one round."""

    delta: Tensors
    examples: int
    loss: float
    """Mean loss of the last epoch, in nats."""


def train_heads(
    start: Tensors, products: ProductFeatures, *, preset: Preset, config: FederationConfig, seed: int
) -> LocalUpdate:
    """Train from ``start`` for ``config.local_epochs`` passes over the client's products.

    ``start`` is the global state, ``seed`` that of batches and dropout: it differs between clients and rounds, and
    is the same when a round is repeated.

    Raises:
        NothingToLearn: fewer than two products.
    """
    if len(products) < MIN_BATCH:
        raise NothingToLearn(f"The client holds {len(products)} products, training needs at least {MIN_BATCH}.")
    heads = heads_from(preset, start).train()
    optimizer = torch.optim.AdamW(
        [
            {"params": [heads.image.weight, heads.text.weight], "weight_decay": config.weight_decay},
            {"params": [heads.log_scale], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )
    generator = torch.Generator().manual_seed(seed)
    loss = 0.0
    for _ in range(config.local_epochs):
        loss = _epoch(heads, optimizer, products, config, generator)
    return LocalUpdate(delta=subtract(tensors_of(heads), start), examples=len(products), loss=loss)


def _epoch(
    heads: Heads,
    optimizer: torch.optim.Optimizer,
    products: ProductFeatures,
    config: FederationConfig,
    generator: torch.Generator,
) -> float:
    images, texts = torch.from_numpy(products.images), torch.from_numpy(products.texts)
    names = torch.from_numpy(products.names)
    losses: list[float] = []
    order = torch.randperm(len(products), generator=generator)
    for batch in order.split(config.batch_size):  # type: ignore[no-untyped-call]
        if len(batch) < MIN_BATCH:
            continue
        image = heads.embed_images(_hide(images[batch], config.dropout, generator))
        text = heads.embed_texts(_hide(texts[names[batch]], config.dropout, generator))
        loss = contrastive_loss(image, text, heads.scale, names[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def _hide(features: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Dropout on frozen features, from our own generator so that a repeated round gives the same delta."""
    if not share:
        return features
    kept = torch.rand(features.shape, generator=generator) >= share
    return features * kept / (1 - share)
