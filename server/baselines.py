"""What a run is worth: against no training, each client alone, and all products in one place.

All see the same catalogue and as many samples: a run of R rounds of E epochs shows each product R · E times, and
so do the others. Each side may have settings of its own, tuned on val; each side's round is the one that was best on
val; test is looked at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import CatalogueManifest, live_manifest
from catalog.objects import ObjectStore
from catalog.shards import read_rows
from core.progress import Progress
from core.settings import Settings
from federation.comparison import paired_bootstrap
from federation.config import FederationConfig
from federation.errors import FederationConfigError
from federation.evaluation import Retrieval
from federation.features import ProductFeatures
from federation.model import initial_model
from federation.spec import ModelSpec
from federation.tensors import Tensors
from federation.training import Trainer
from server.checkpoints import RunFolder
from server.errors import RunDiffers, RunUnknown
from server.gallery import Gallery, load_gallery
from server.plots import FOLDER, baseline_plots
from server.start import go_on_from, learned_before
from server.stores import open_stores
from server.tracking import Tracker

STAGE = "baselines"
BASELINES_FILE = "baselines.json"
SHARED = (
    "preset", "trainable", "head", "image_blocks", "text_blocks", "lora_rank", "lora_alpha", "start_from", "rounds",
    "local_epochs", "views", "template_captions",
)  # fmt: skip
"""What every contender has from the run."""
Changes = Mapping[str, Any]
"""Fields of FederationConfig with other values."""
ZERO_SHOT, CENTRALISED, FEDERATED = "zero shot", "centralised", "federated"


@dataclass(frozen=True)
class Contender:
    """One way to a model, and what it finds."""

    name: str
    samples: int
    """Products shown in training, each time counted."""
    test: Retrieval
    round: int | None = None
    """The one that was best on val."""


def compare_baselines(
    settings: Settings,
    run_key: str,
    progress: Progress,
    *,
    centralised: Changes | None = None,
    alone: Changes | None = None,
) -> dict[str, Any]:
    """Train the baselines of a finished run, compare them on test, and keep the comparison with the run in MLflow.

    Args:
        settings: where the run, its catalogue and MLflow are.
        run_key: a run that was completed.
        progress: told after every round of every baseline.
        centralised: settings of the run over all products in one place that differ from the federation's.
        alone: the same for each client by itself.

    Raises:
        RunUnknown: no run of that key was completed.
        RunDiffers: another catalogue is live by now.
        NothingToLearn: a client has fewer than two products.
    """
    stores = open_stores(settings)
    folder = RunFolder(stores.checkpoints, run_key, stores.seals)
    done, about = folder.believed_result(), folder.about()
    if done is None or about is None:
        raise RunUnknown(f"No run {run_key!r} was completed.", hint="`tejido federation status` says how far it is.")
    manifest = live_manifest(stores.data)
    if manifest.version != about.catalogue_version:
        raise RunDiffers(
            f"The run trained on catalogue {about.catalogue_version}, {manifest.version} is live.",
            hint="Compare a run over the live catalogue.",
        )
    # As many rounds as were played: a private run may have ended before its last one.
    config = replace(FederationConfig.from_run_config(about.config), rounds=len(done["rounds"]))
    learned = learned_before(stores.checkpoints, config, about.base_hash, stores.seals)
    bench = _Bench(settings, stores.data, manifest, config, progress, learned)
    result = _compare(bench, folder.state_after(int(done["chosen_round"])), centralised or {}, alone or {})
    tracker = Tracker.of(settings)
    tracker.log_json(done["mlflow"]["run_id"], BASELINES_FILE, result)
    tracker.log_files(done["mlflow"]["run_id"], baseline_plots(result), folder=FOLDER)
    return {"run_id": folder.name, **result}


def _compare(bench: _Bench, state: Tensors, centralised: Changes, alone: Changes) -> dict[str, Any]:
    owned = bench.products_of_clients()
    # A gallery holds train first: its rows are numbered as those of the train split.
    everything = np.concatenate(list(owned.values()))
    federated = Contender(FEDERATED, bench.samples(everything), bench.gallery.evaluate(state, "test"))
    zero_shot = Contender(ZERO_SHOT, 0, bench.gallery.evaluate(bench.initial_state(), "test"))
    central = bench.train(CENTRALISED, np.sort(everything), centralised)
    alones = [bench.train(client, rows, alone) for client, rows in sorted(owned.items())]
    return _result(bench.gallery, federated, [zero_shot, central, *alones], owned)


class _Bench:
    """Everything that is loaded once."""

    def __init__(
        self,
        settings: Settings,
        store: ObjectStore,
        manifest: CatalogueManifest,
        config: FederationConfig,
        progress: Progress,
        learned: Tensors,
    ) -> None:
        self._store, self._manifest, self._config, self._progress = store, manifest, config, progress
        self._learned = learned
        self._spec = ModelSpec.of(config)
        self.gallery: Gallery = load_gallery(
            store,
            manifest,
            self._spec,
            features_dir=settings.features_dir,
            progress=progress,
            views=config.views,
            with_templates=config.template_captions > 0,
        )
        self._done, self._total = 0, (1 + len(manifest.clients)) * config.rounds

    def products_of_clients(self) -> dict[str, NDArray[np.int64]]:
        """Client → rows of the train split that it holds."""
        owners = np.array([row["client"] for row in read_rows(self._store, self._manifest.owners, columns=["client"])])
        return {str(client): np.flatnonzero(owners == client) for client in np.unique(owners)}

    def samples(self, rows: NDArray[np.int64]) -> int:
        """Products shown to who trains on these rows."""
        return len(rows) * self._config.rounds * self._config.local_epochs

    def initial_state(self) -> Tensors:
        """The untrained model: zero shot."""
        return initial_model(self._spec, self.gallery.towers).state()

    def train(self, name: str, rows: NDArray[np.int64], changes: Changes) -> Contender:
        """Train on these products in one place, from where the federation started.

        Raises:
            FederationConfigError: ``changes`` would change what all contenders have in common.
        """
        if shared := sorted(set(changes) & set(SHARED)):
            raise FederationConfigError(
                f"A baseline has {', '.join(shared)} from its run.",
                hint="Otherwise neither the samples nor the trained part would be the same.",
            )
        config = replace(self._config, **changes)
        products = self.gallery.products.subset(rows)
        rounds = self._told(name, in_one_place(self.gallery, products, config, learned=self._learned))
        chosen, state = best_on_val(self.gallery, rounds)
        return Contender(name, self.samples(rows), self.gallery.evaluate(state, "test"), chosen)

    def _told(self, name: str, rounds: Iterator[tuple[int, Tensors]]) -> Iterator[tuple[int, Tensors]]:
        for number, state in rounds:
            self._done += 1
            detail = f"{name}, round {number} of {self._config.rounds}"
            self._progress.update(STAGE, self._done, self._total, detail)
            yield number, state


def in_one_place(
    gallery: Gallery, products: ProductFeatures, config: FederationConfig, *, learned: Tensors | None = None
) -> Iterator[tuple[int, Tensors]]:
    """Train on all products by one optimiser, which lives through all rounds; yields each round and its state.

    ``learned`` is what an earlier run has learned already.
    """
    model = initial_model(ModelSpec.of(config), gallery.towers)
    model.load(go_on_from(model.state(), learned or {}))
    trainer = Trainer(model, config, seed=config.seed)
    for number in range(1, config.rounds + 1):
        trainer.train_round(products, round_number=number)
        yield number, model.state()


def best_on_val(gallery: Gallery, rounds: Iterable[tuple[int, Tensors]]) -> tuple[int, Tensors]:
    """The round whose state finds most on val, the first where some are equal, and that state."""
    # `max` takes the first of equals, and holds one state at a time beside the best.
    return max(rounds, key=lambda found: gallery.evaluate(found[1], "val").recall_at_10)


def _result(
    gallery: Gallery, federated: Contender, others: list[Contender], owned: Mapping[str, NDArray[np.int64]]
) -> dict[str, Any]:
    by_name = {contender.name: contender for contender in others}
    return {
        "gallery": federated.test.gallery,
        "queries": federated.test.queries,
        "contenders": [_row(contender, federated) for contender in (federated, *others)],
        "clients": [
            _client_row(client, len(owned[client]), by_name[client].test, federated.test, positions)
            for client, positions in sorted(gallery.clients["test"].items())
            if client in by_name and len(positions)
        ],
    }


def _row(contender: Contender, federated: Contender) -> dict[str, Any]:
    difference = paired_bootstrap(federated.test.recall_at_10_by_query, contender.test.recall_at_10_by_query)
    return {
        "name": contender.name,
        "samples": contender.samples,
        "round": contender.round,
        "recall_at_1": contender.test.recall_at_1,
        "recall_at_10": contender.test.recall_at_10,
        "mrr": contender.test.mrr,
        "federated_gains": [difference.lower, difference.upper],
    }


def _client_row(
    client: str, products: int, alone: Retrieval, federated: Retrieval, positions: NDArray[np.int64]
) -> dict[str, Any]:
    """On the client's own held-out titles: what it would have alone, and what the federation gives it."""
    ours, theirs = federated.recall_at_10_by_query[positions], alone.recall_at_10_by_query[positions]
    difference = paired_bootstrap(ours, theirs)
    return {
        "client": client,
        "products": products,
        "queries": len(positions),
        "alone": float(theirs.mean()),
        "federated": float(ours.mean()),
        "federated_gains": [difference.lower, difference.upper],
    }
