"""A federation inside one process, for benchmarks: the platform's own functions without Flower's processes.

What a client does (training, faults, error feedback, encoding) and what the coordinator does (selection, validation,
retries, the strategy, the evaluation on the whole gallery) is the platform's own code, bytes included; left out are
processes and waiting. The catalogue is cleaned and split once, and encoded once for each cut, in a cache folder.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.localclients import Known, LocalClient, LocalMailbox
from catalog.etl import clean_and_split, obtain
from catalog.etl.assign import labelled_products
from catalog.manifest import CatalogueManifest, manifest_of
from catalog.objects import DirectoryStore
from catalog.partitions import assign_clients, parse_partition
from clients.faults import NO_FAULTS
from core.names import client_names
from core.progress import LogProgress
from core.settings import SimulationFaults
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.evaluation import Retrieval
from federation.features import ProductFeatures
from federation.model import Model, build_model, initial_state
from federation.spec import ModelSpec
from federation.strategies import Strategy, new_strategy
from federation.tensors import Tensors
from federation.torch_fixes import compute_alone
from federation.wire import record_bytes, to_record, unpack
from server.exchange import RoundTask
from server.gallery import Gallery, load_gallery
from server.gathering import Roster
from server.memory import Memory
from server.rounds import Rounds
from server.selection import Expected
from server.start import go_on_from

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
        products = labelled_products(self.store, self.manifest, how, "train")
        return np.array(assign_clients(products, how, client_names(count), seed=self.manifest.seed))


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
    rejections: tuple[str, ...]
    """``client: reason`` of updates that did not count, in all attempts."""
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
        gallery = load_gallery(
            catalogue.store,
            catalogue.manifest,
            spec,
            features_dir=folder,
            progress=progress,
            towers=LazyTowers(spec.preset),
            views=config.views,
            with_templates=config.template_captions > 0,
        )
        # A gallery holds train first.
        return cls(catalogue, gallery, gallery.products.subset(np.arange(catalogue.manifest.products("train"))))

    def start(self, config: FederationConfig) -> Tensors:
        """The state that a run of ``config`` starts from; its recall is zero shot."""
        return initial_state(ModelSpec.of(config), self.gallery.towers)

    def model(self, config: FederationConfig) -> Model:
        """A model to train; the state that it holds is of no use yet."""
        return build_model(ModelSpec.of(config), self.gallery.towers)

    def clients(self, count: int, partition: str = "iid") -> Clients:
        """The train split in parts, by client."""
        owners = self.catalogue.owners(count, partition)
        return {name: self.products.subset(np.flatnonzero(owners == name)) for name in client_names(count)}

    def federate(
        self,
        clients: Clients,
        config: FederationConfig,
        *,
        faults: SimulationFaults = NO_FAULTS,
        strategy: Strategy | None = None,
        is_validated: bool = True,
        known: Known | None = None,
        learned: Tensors | None = None,
    ) -> Iterator[Outcome]:
        """Run ``config.rounds`` rounds; yields after each.

        Args:
            clients: of `clients`.
            config: of the run.
            faults: who attacks and how; nobody drops out here.
            strategy: in place of the config's.
            is_validated: whether updates are checked before they count, as the coordinator does.
            learned: what an earlier run has learned already.
            known: shared by several runs over the same clients: training that one of them did is not repeated.

        Raises:
            QuorumMissed, TooFewUpdates: as in a real run.
        """
        model, strategy = self.model(config), strategy or new_strategy(config)
        local = {name: LocalClient(name, clients[name], model, faults, known) for name in sorted(clients)}
        coordinator = (_Coordinator if is_validated else _Trusting)(self.catalogue, config, local, strategy)
        state, spent = go_on_from(self.start(config), learned or {}), 0.0
        for number in range(1, config.rounds + 1):
            played = coordinator.play(state, number)
            state, before, spent = played.state, spent, sum(client.seconds for client in local.values())
            yield Outcome(
                round=number,
                state=state,
                val=self.gallery.evaluate(state, "val"),
                loss=played.loss,
                bytes_up=played.bytes_up,
                bytes_down=played.bytes_down,
                rejections=played.rejections,
                client_seconds=spent - before,
            )


@dataclass(frozen=True)
class _Played:
    state: Tensors
    loss: float
    bytes_up: int
    bytes_down: int
    rejections: tuple[str, ...] = ()


class _Coordinator:
    """Plays rounds by the coordinator's own code: selection, validation, quorum, strategy."""

    def __init__(
        self, catalogue: Catalogue, config: FederationConfig, clients: Mapping[str, LocalClient], strategy: Strategy
    ) -> None:
        products = {name: len(client.products) for name, client in clients.items()}
        expected = Expected(catalogue.manifest.version, ModelSpec.of(config).preset.base_hash, products)
        self.config, self.clients, self.strategy, self.memory = config, clients, strategy, Memory()
        mailbox = LocalMailbox(clients)
        # Who has passed the preflight is not asked again.
        roster = Roster(mailbox, config, expected, _say_nothing, admitted=set(clients))
        self.rounds = Rounds("bench", mailbox, roster, strategy)

    def play(self, state: Tensors, number: int) -> _Played:
        """One round, and its attempts."""
        outcome = self.rounds.play(state, self.memory, round_number=number)
        total, self.memory = outcome.total, outcome.total.memory()
        return _Played(total.new_state(), total.loss, total.bytes_up, outcome.bytes_down, tuple(outcome.rejections))


class _Trusting(_Coordinator):
    """Plays rounds in which whatever a client sends counts: what a mean alone would come to."""

    def play(self, state: Tensors, number: int) -> _Played:
        """One round with all clients."""
        expected = self.rounds.roster.expected
        task = RoundTask("bench", number, 1, expected.catalogue_version, expected.base_hash, self.config)
        down = to_record(state, encoding=self.config.encoding_down)
        sent, learned = [], []
        self.strategy.begin()
        for _, client in sorted(self.clients.items()):
            sent.append(client.answer(task.content(down)).array_records["arrays"])
            learned.append(client.learned[-1])
            update = unpack(sent[-1], like=state, encoding=self.config.encoding)
            self.strategy.add(update, examples=learned[-1].examples)
        examples = sum(one.examples for one in learned)
        return _Played(
            self.strategy.finish(state),
            loss=sum(one.loss * one.examples for one in learned) / examples,
            bytes_up=sum(record_bytes(arrays) for arrays in sent),
            bytes_down=record_bytes(down) * len(self.clients),
        )


def _say_nothing(stage: str, **more: object) -> None:
    """Whoever runs a benchmark sees its rounds."""
