"""A client's share of a round: train what is above the cuts on cached activations, return the delta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from federation.batches import MIN_BATCH, Batch, Batches
from federation.config import FederationConfig
from federation.errors import NothingToLearn
from federation.features import ProductFeatures
from federation.losses import contrastive_loss
from federation.model import HEADS, Model
from federation.schedule import learning_rate_share
from federation.tensors import Tensors, subtract

ADAMW_KEEPS = ("step", "exp_avg", "exp_avg_sq")
NOT_DECAYED = ("log_scale", "bias", "bn", "norm", "ln_")
"""Parts of names of parameters that are no weights of a map: decaying them would only move the scale of what is."""


@dataclass(frozen=True)
class LocalUpdate:
    """What one client learned in one round."""

    delta: Tensors
    examples: int
    loss: float
    """Mean loss of the last epoch, in nats."""
    moments: Tensors
    """AdamW's, for the client's next round; empty unless the run keeps them. They stay with the client."""


def train(
    model: Model,
    products: ProductFeatures,
    *,
    config: FederationConfig,
    round_number: int,
    seed: int,
    moments: Tensors | None = None,
) -> LocalUpdate:
    """Train ``model`` from the state that it holds, for ``config.local_epochs`` passes over the client's products.

    ``seed`` is that of batches and dropout: it differs between clients and rounds, and is the same when a round is
    repeated. Gradients of a batch are taken over ``config.micro_batch`` products at a time, contrasted with the whole
    batch all the same. With ``config.optimiser_state`` kept, AdamW goes on from ``moments``, those of the last round.

    Raises:
        NothingToLearn: fewer than two products.
    """
    start = model.state()
    trainer = Trainer(model, config, seed=seed)
    if config.optimiser_state == "kept":
        trainer.go_on(moments or {})
    loss = trainer.train_round(products, round_number=round_number)
    kept = trainer.moments() if config.optimiser_state == "kept" else {}
    return LocalUpdate(delta=subtract(model.state(), start), examples=len(products), loss=loss, moments=kept)


def _optimizer(model: Model, config: FederationConfig) -> torch.optim.AdamW:
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.trained().items():
        is_decayed = not any(part in name for part in NOT_DECAYED)
        groups.setdefault((name.startswith(HEADS), is_decayed), []).append(parameter)
    rates = {True: config.learning_rate, False: config.tower_learning_rate}
    return torch.optim.AdamW(
        [
            {"params": parameters, "full_lr": rates[is_head], "weight_decay": config.weight_decay * is_decayed}
            for (is_head, is_decayed), parameters in groups.items()
        ]
    )


class Trainer:
    """One model's training. A client has a new one in each round; a centralised run keeps its own."""

    def __init__(self, model: Model, config: FederationConfig, *, seed: int) -> None:
        self.model, self.config = model, config
        self.optimizer: torch.optim.Optimizer = _optimizer(model, config)
        self.generator = torch.Generator().manual_seed(seed)
        self._anchor = [parameter.detach().clone() for parameter in model.trained().values()]

    def train_round(self, products: ProductFeatures, *, round_number: int) -> float:
        """``config.local_epochs`` passes at the round's learning rate; the mean loss of the last, in nats.

        Raises:
            NothingToLearn: fewer than two products.
        """
        if len(products) < MIN_BATCH:
            raise NothingToLearn(f"There are {len(products)} products, training needs at least {MIN_BATCH}.")
        share = learning_rate_share(self.config, round_number=round_number)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_lr"] * share
        losses = [0.0]
        for _ in range(self.config.local_epochs):
            batches = Batches(products, self.config, self.generator)
            losses = [self._step(batch) for batch in batches if len(batch) >= MIN_BATCH]
        return sum(losses) / len(losses)

    def moments(self) -> Tensors:
        """What AdamW remembers, as ``kind/parameter``."""
        return {
            f"{kind}/{name}": value.detach().cpu().numpy().copy()
            for name, parameter in self.model.trained().items()
            for kind, value in self.optimizer.state.get(parameter, {}).items()
        }

    def go_on(self, moments: Tensors) -> None:
        """Take up what `moments` gave; a parameter of which it tells nothing begins anew."""
        for name, parameter in self.model.trained().items():
            kept = {kind: moments[f"{kind}/{name}"] for kind in ADAMW_KEEPS if f"{kind}/{name}" in moments}
            if kept:
                self.optimizer.state[parameter] = {
                    # AdamW counts its steps on the CPU, wherever the parameter lies.
                    kind: torch.from_numpy(array.copy()).to("cpu" if kind == "step" else parameter.device)
                    for kind, array in kept.items()
                }

    def _step(self, batch: Batch) -> float:
        self.optimizer.zero_grad()
        pieces = list(batch.pieces(self.config.micro_batch or len(batch)))
        loss = self._backward_at_once(pieces[0]) if len(pieces) == 1 else self._backward_in_pieces(batch, pieces)
        if self.config.proximal_mu:
            self._pull_to_the_start()
        self.optimizer.step()
        return loss

    def _backward_at_once(self, batch: Batch) -> float:
        image, text = self._embed(batch)
        loss = self._loss(image, text, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _backward_in_pieces(self, batch: Batch, pieces: list[Batch]) -> float:
        """The same gradients with the memory of one piece (Gao et al. 2021, GradCache).

        Embed all pieces without gradients, take the loss's gradients by the embeddings, then embed each piece again
        and pass its share of them on. The dropout of both passes is the same: the generator is wound back.
        """
        begun = self.generator.get_state()
        with torch.no_grad():
            embedded = [self._embed(piece) for piece in pieces]
        image, text = (torch.cat(side).requires_grad_() for side in zip(*embedded, strict=True))
        loss = self._loss(image, text, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator.set_state(begun)
        for piece, *gradients in zip(pieces, *_split(pieces, image, text), strict=True):
            torch.autograd.backward(self._embed(piece), gradients)
        return float(loss.detach())

    def _loss(self, image: Tensor, text: Tensor, batch: Batch) -> Tensor:
        return contrastive_loss(image, text, self.model.heads.scale, batch.positives.to(image.device))

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        heads = self.model.heads
        image = self._hide(self.model.image_features(batch.images()))
        text = self._hide(self.model.text_features(batch.texts()))
        return heads.embed_images(image), heads.embed_texts(text)

    def _hide(self, features: Tensor) -> Tensor:
        """Dropout from our own generator (the CPU's), so that a repeated round hides the same on every device."""
        if not self.config.dropout:
            return features
        kept = torch.rand(features.shape, generator=self.generator) >= self.config.dropout
        return features * kept.to(features.device) / (1 - self.config.dropout)

    def _pull_to_the_start(self) -> None:
        """The gradient of FedProx's term, mu/2 ‖w − w₀‖² (Li et al. 2020), added to the loss's."""
        for parameter, anchor in zip(self.model.trained().values(), self._anchor, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - anchor, alpha=self.config.proximal_mu)


def _split(pieces: list[Batch], image: Tensor, text: Tensor) -> Iterator[tuple[Tensor, ...]]:
    sizes = [len(piece) for piece in pieces]
    for side in (image, text):
        if side.grad is None:
            raise AssertionError("the loss depends on every embedding")
        yield side.grad.split(sizes)  # type: ignore[no-untyped-call]
