"""A federation inside one process, for benchmarks: the platform's own functions without Flower's processes.

What a client does (training, faults, error feedback, encoding) and what the coordinator does (decoding, the strategy,
the evaluation on the whole gallery) is the platform's own code, bytes included; left out are processes, waiting and
messages. The catalogue is cleaned and split once, and encoded once for each cut, in a cache folder.

    bench = Bench.open(config, load_catalogue())
    clients = bench.clients(10, "dirichlet(0.1, sub_category)")
    for outcome in bench.federate(clients, config):
        print(outcome.round, outcome.val.recall_at_10)
    print(bench.gallery.evaluate(outcome.state, "test").recall_at_10)

``BENCH_SOURCE`` names another catalogue than ../shared/fashion, ``BENCH_CACHE`` another folder than .tejido/bench.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.etl import clean_and_split, obtain
from catalog.manifest import CatalogueManifest, manifest_of
from catalog.objects import DirectoryStore
from catalog.partitions import assign_clients, parse_partition
from catalog.shards import read_rows, read_shards
from clients.app import as_sent
from clients.faults import NO_FAULTS, Faults
from clients.learning import training_seed
from core.names import client_names
from core.progress import LogProgress
from core.settings import SimulationFaults
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.error_feedback import compress
from federation.evaluation import Retrieval
from federation.features import Activations, FeatureSource, ProductFeatures
from federation.model import Model, build_model, initial_state
from federation.spec import ModelSpec
from federation.strategies import Strategy, new_strategy
from federation.tensors import Tensors
from federation.torch_fixes import compute_alone
from federation.training import LocalUpdate, train
from federation.wire import ArrayRecord, from_record, record_bytes, to_record, unpack
from server.gallery import Gallery, load_gallery
from server.stores import OWNER

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = os.environ.get("BENCH_SOURCE", f"dir:{PROJECT.parent / 'shared' / 'fashion'}")
CACHE = Path(os.environ.get("BENCH_CACHE", PROJECT / ".tejido" / "bench"))
Clients = Mapping[str, ProductFeatures]


@dataclass(frozen=True)
class Catalogue:
    """A catalogue that was cleaned and split, and the folder of everything that is cached of it."""

    root: Path
    manifest: CatalogueManifest

    @property
    def store(self) -> DirectoryStore:
        """Its shards."""
        return DirectoryStore(self.root / "data")

    def owners(self, count: int, partition: str) -> NDArray[np.str_]:
        """The client of each product of the train split, in order, as the ETL deals them."""
        how = parse_partition(partition)
        columns = ["product_display_name", *([how.by] if how.by else [])]
        rows = read_rows(self.store, self.manifest.splits["train"], columns=columns)
        labelled = ((row["product_display_name"], row[how.by] if how.by else None) for row in rows)
        return np.array(assign_clients(labelled, how, client_names(count), seed=self.manifest.seed))


def load_catalogue(source: str = SOURCE, *, limit: int | None = None, seed: int = 0, cache: Path = CACHE) -> Catalogue:
    """The catalogue of ``source``; the ETL's steps run the first time only."""
    version = f"bench-{hashlib.sha256(f'{source}/{limit}/{seed}'.encode()).hexdigest()[:12]}"
    root, progress = cache / version, LogProgress()
    store = DirectoryStore(root / "data")
    obtain(version, spec=source, store=store, limit=limit, seed=seed, progress=progress)
    clean_and_split(version, store=store, progress=progress)
    return Catalogue(root, manifest_of(store, version))


@dataclass(frozen=True)
class Outcome:
    """What one round came to."""

    round: int
    state: Tensors
    val: Retrieval
    """On the whole gallery."""
    loss: float
    """Mean over the clients, weighted by their products."""
    bytes_up: int
    """As sent by all clients together."""
    bytes_down: int
    """As sent to all clients together."""
    client_seconds: float
    """Training of all clients, one after the other."""


@dataclass(frozen=True)
class Bench:
    """One catalogue as the models of one spec see it: encoded below the cuts, in memory."""

    catalogue: Catalogue
    gallery: Gallery
    products: ProductFeatures
    """The whole train split, with the config's views and templates: what a centralised run trains on."""

    @classmethod
    def open(cls, config: FederationConfig, catalogue: Catalogue) -> Bench:
        """Encode whatever is not cached yet; slow the first time, then seconds.

        Other configs may use the bench as long as preset, trainable part, blocks, views and templates are the same.
        """
        compute_alone()
        spec, folder, progress = ModelSpec.of(config), catalogue.root / "cache", LogProgress()
        towers = LazyTowers(spec.preset)
        manifest = catalogue.manifest
        gallery = load_gallery(catalogue.store, manifest, spec, features_dir=folder, progress=progress, towers=towers)
        source = FeatureSource(spec, root=folder, owner=OWNER, towers=towers, workers=os.cpu_count() or 1)
        products = source.of(
            read_shards(catalogue.store, manifest.splits["train"]),
            total=manifest.products("train"),
            views=config.views,
            with_templates=config.template_captions > 0,
            progress=progress,
        )
        return cls(catalogue, gallery, products)

    def start(self, config: FederationConfig) -> Tensors:
        """The state that a run of ``config`` starts from; its recall is zero shot."""
        return initial_state(ModelSpec.of(config), self.gallery.towers)

    def model(self, config: FederationConfig) -> Model:
        """A model to train; the state that it holds is of no use yet."""
        return build_model(ModelSpec.of(config), self.gallery.towers)

    def clients(self, count: int, partition: str = "iid") -> Clients:
        """The train split in parts, by client."""
        owners = self.catalogue.owners(count, partition)
        if len(owners) != len(self.products):
            raise ValueError(f"{len(owners) - len(self.products)} products could not be read: clean the catalogue.")
        return {name: part(self.products, np.flatnonzero(owners == name)) for name in client_names(count)}

    def federate(
        self,
        clients: Clients,
        config: FederationConfig,
        *,
        faults: SimulationFaults = NO_FAULTS,
        strategy: Strategy | None = None,
    ) -> Iterator[Outcome]:
        """Run ``config.rounds`` rounds, all clients in each; yields after each round.

        Args:
            clients: of `clients`.
            config: of the run.
            faults: who attacks and how; nobody drops out here.
            strategy: in place of the config's.
        """
        model, strategy = self.model(config), strategy or new_strategy(config)
        locals_ = [LocalClient(name, products, model, config, faults) for name, products in sorted(clients.items())]
        state = self.start(config)
        for number in range(1, config.rounds + 1):
            state, sent = _round(locals_, state, config, strategy, number)
            examples = sum(len(client.products) for client in locals_)
            yield Outcome(
                round=number,
                state=state,
                val=self.gallery.evaluate(state, "val"),
                loss=sum(update.loss * update.examples for update in sent.updates) / examples,
                bytes_up=sent.bytes_up,
                bytes_down=sent.bytes_down,
                client_seconds=sent.client_seconds,
            )


@dataclass
class LocalClient:
    """One client; its model is shared by all, as each loads the state before it trains."""

    name: str
    products: ProductFeatures
    model: Model
    config: FederationConfig
    faults: SimulationFaults = NO_FAULTS
    _residual: Tensors | None = None

    def answer(self, arrays: ArrayRecord, *, round_number: int) -> tuple[ArrayRecord, LocalUpdate]:
        """What the ClientApp does with a round's message."""
        config, faults = self.config, Faults(self.faults, self.name, round_number)
        self.model.load(from_record(arrays, like=self.model.state(), encoding=config.encoding_down))
        update = train(
            self.model,
            faults.products(self.products),
            config=config,
            round_number=round_number,
            seed=training_seed(config.seed, self.name, round_number),
        )
        sent, residual = compress(faults.delta(update.delta), self._residual, encoding=config.encoding)
        self._residual = residual if config.encoding != "fp32" else None
        return as_sent(sent, faults) if faults.attack else sent, update


@dataclass
class _Sent:
    updates: list[LocalUpdate]
    bytes_up: int = 0
    bytes_down: int = 0
    client_seconds: float = 0.0


def _round(
    clients: Sequence[LocalClient], state: Tensors, config: FederationConfig, strategy: Strategy, number: int
) -> tuple[Tensors, _Sent]:
    """One round without validation: every update counts."""
    down, sent = to_record(state, encoding=config.encoding_down), _Sent([])
    strategy.begin()
    for client in clients:
        began = time.perf_counter()
        arrays, update = client.answer(down, round_number=number)
        sent.client_seconds += time.perf_counter() - began
        sent.updates.append(update)
        sent.bytes_up += record_bytes(arrays)
        sent.bytes_down += record_bytes(down)
        strategy.add(unpack(arrays, like=state, encoding=config.encoding), examples=update.examples)
    return strategy.finish(state), sent


def part(products: ProductFeatures, rows: NDArray[np.int64]) -> ProductFeatures:
    """Some of the products, in this order; captions are shared with the whole."""
    return replace(
        products,
        ids=products.ids[rows],
        names=products.names[rows],
        images=tuple(Activations(view.pick(rows)) for view in products.images),
        templates=products.templates[rows] if products.templates is not None else None,
    )
