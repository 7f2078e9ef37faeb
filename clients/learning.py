"""What a client does in a round, without the network: train on its own products."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.dataset import Dataset
from clients.errors import BaseMismatch, PartitionStale
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.features import FeatureSource, ProductFeatures
from federation.model import Model, build_model
from federation.presets import Preset
from federation.spec import ModelSpec
from federation.tensors import Tensors
from federation.training import train


@dataclass(frozen=True)
class Task:
    """What the coordinator asks for."""

    run: str
    config: FederationConfig
    round: int
    attempt: int
    catalogue_version: str
    base_hash: str


@dataclass(frozen=True)
class Contribution:
    """What a client learned in a round, and from how much of what it holds."""

    delta: Tensors
    loss: float
    examples: int
    """Products trained on."""
    held: int
    """Products in the partition."""
    skipped: Mapping[str, int]
    """Why the others were left out, and how many."""
    moments: Tensors
    """Of the optimiser, where the run keeps them; they stay with the client."""
    encode_seconds: float
    train_seconds: float


class Learner:
    """One client's side of a task; the model is built first, as it says what a state must look like."""

    def __init__(self, dataset: Dataset, task: Task, *, features_dir: Path) -> None:
        """Check that the task fits this client, and build the model.

        Raises:
            BaseMismatch: the coordinator's towers are not ours.
            PartitionStale: the catalogue was loaded anew since the run began.
        """
        self._dataset, self._task = dataset, task
        spec = ModelSpec.of(task.config)
        _require_same_base(spec.preset, task.base_hash)
        if dataset.manifest.version != task.catalogue_version:
            raise PartitionStale(
                f"{dataset.client} holds catalogue {dataset.manifest.version}, "
                f"the run is about {task.catalogue_version}.",
                hint="Start the run again: the catalogue was loaded in between.",
            )
        towers = LazyTowers(spec.preset)
        # Clients often share a machine, and none may take it all.
        workers = max(1, (os.cpu_count() or 1) // 2)
        self._source = FeatureSource(spec, root=features_dir, owner=dataset.client, towers=towers, workers=workers)
        self.model: Model = build_model(spec, towers)

    def learn(
        self,
        start: Tensors,
        *,
        moments: Tensors | None = None,
        alter: Callable[[ProductFeatures], ProductFeatures] | None = None,
    ) -> Contribution:
        """Train on this client's products, from the coordinator's state.

        Args:
            start: the state.
            moments: of this client's optimiser after its last round.
            alter: makes of the products what is trained on; in simulations of misbehaving clients only.

        Raises:
            HeadsError: the state is not one of this model.
            NothingToLearn: too few products.
        """
        config, began = self._task.config, time.monotonic()
        held = self._dataset.manifest.products
        products = self._source.of(
            self._dataset.products(),
            total=held,
            views=config.views,
            with_templates=config.template_captions > 0,
        )
        if alter is not None:
            products = alter(products)
        encoded = time.monotonic()
        self.model.load(start)
        seed = training_seed(config.seed, self._dataset.client, self._task.round)
        update = train(self.model, products, config=config, round_number=self._task.round, seed=seed, moments=moments)
        return Contribution(
            delta=update.delta,
            loss=update.loss,
            examples=update.examples,
            held=held,
            skipped=products.skipped,
            moments=update.moments,
            encode_seconds=encoded - began,
            train_seconds=time.monotonic() - encoded,
        )


def _require_same_base(preset: Preset, base_hash: str) -> None:
    if preset.base_hash != base_hash:
        raise BaseMismatch(
            f"The coordinator's base is {base_hash[:12]}…, this client's {preset.name} is {preset.base_hash[:12]}….",
            hint="Bring both to the same version of Tejido and its locked packages.",
        )


def training_seed(seed: int, client: str, round_number: int) -> int:
    """A seed of its own for each client and round, the same when the round is repeated."""
    digest = hashlib.sha256(f"{seed}/{client}/{round_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
