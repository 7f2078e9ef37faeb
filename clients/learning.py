"""What a client does in a round, without the network: train on its own products."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from clients.dataset import Dataset
from clients.errors import BaseMismatch, PartitionStale
from federation.config import FederationConfig
from federation.features import FeatureSource
from federation.presets import Preset, load_preset
from federation.tensors import Tensors
from federation.training import LocalUpdate, train_heads


@dataclass(frozen=True)
class Task:
    """What the coordinator asks for."""

    config: FederationConfig
    round: int
    catalogue_version: str
    base_hash: str


def learn(dataset: Dataset, start: Tensors, task: Task, *, features_dir: Path) -> LocalUpdate:
    """Train the heads on this client's products, from the coordinator's state.

    Raises:
        BaseMismatch: the coordinator's towers are not ours.
        PartitionStale: the catalogue was loaded anew since the run began.
        NothingToLearn: too few products.
    """
    preset = load_preset(task.config.preset)
    _require_same_base(preset, task.base_hash)
    if dataset.manifest.version != task.catalogue_version:
        raise PartitionStale(
            f"{dataset.client} holds catalogue {dataset.manifest.version}, the run is about {task.catalogue_version}.",
            hint="Start the run again: the catalogue was loaded in between.",
        )
    # Clients often share a machine, and none may take it all.
    workers = max(1, (os.cpu_count() or 1) // 2)
    source = FeatureSource(preset, root=features_dir, owner=dataset.client, workers=workers)
    features = source.of(dataset.products(), total=dataset.manifest.products)
    seed = _seed(task.config.seed, dataset.client, task.round)
    return train_heads(start, features, preset=preset, config=task.config, seed=seed)


def _require_same_base(preset: Preset, base_hash: str) -> None:
    if preset.base_hash != base_hash:
        raise BaseMismatch(
            f"The coordinator's base is {base_hash[:12]}…, this client's {preset.name} is {preset.base_hash[:12]}….",
            hint="Bring both to the same version of Tejido and its locked packages.",
        )


def _seed(seed: int, client: str, round_number: int) -> int:
    """A seed of its own for each client and round, the same when the round is repeated."""
    digest = hashlib.sha256(f"{seed}/{client}/{round_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
