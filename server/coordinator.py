"""One federated run from the coordinator's side, start to result: what the ServerApp does.

A run that was broken off goes on from its last checkpoint: with the same config, in the same MLflow run, to the same
result as if nothing had happened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from catalog.manifest import CatalogueManifest, live_manifest, manifest_sha256
from core.settings import Settings
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.evaluation import Retrieval
from federation.model import initial_state
from federation.privacy.accountant import Ledger
from federation.spec import ModelSpec
from federation.strategies import new_strategy
from federation.tensors import Tensors, count
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.client_runs import client_runs
from server.contracts import RunContract
from server.course import Course, Evaluator
from server.enrolments import limits, removed
from server.errors import TrackingUnreachable
from server.exchange import Mailbox
from server.gallery import load_gallery
from server.gathering import Roster
from server.model_card import model_card
from server.models import write_model
from server.plots import FOLDER, run_plots
from server.privacy import PrivacyBudget, privacy_tags, spent_before, told_privacy
from server.provenance import Provenance, provenance
from server.reports import retrieval_metrics, run_totals
from server.rounds import Rounds
from server.selection import Expected, partition_sizes, wanted_clients
from server.start import go_on_from, learned_before
from server.stores import local_artifacts, open_stores
from server.telling import EncodingProgress, Teller
from server.tracking import CHALLENGER, FEDERATED_EXPERIMENT, MODEL, Tracker

if TYPE_CHECKING:
    from server.exchange import Grid

IDENTITY = "run_identity"
"""The tag by which a run that is resumed finds its MLflow run."""
CONTRACT_FILE = "contract.json"
START_METRIC = "zero_shot_recall_at_10"
GIT_COMMIT = "mlflow.source.git.commit"
"""The tag that MLflow shows as the run's version."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Run:
    """What belongs to one run."""

    settings: Settings
    config: FederationConfig
    folder: RunFolder
    spec: ModelSpec
    manifest: CatalogueManifest
    tracker: Tracker
    tracking_run: str
    teller: Teller
    made_by: Provenance
    contract: RunContract | None

    @property
    def expected(self) -> Expected:
        """What clients must match."""
        store = open_stores(self.settings).data
        products = partition_sizes(self.manifest, removed(store))
        return Expected(self.manifest.version, self.spec.preset.base_hash, products, limits(store))


@dataclass(frozen=True)
class _Start:
    """What the untrained model finds: zero shot."""

    val: Retrieval
    test: Retrieval


@dataclass(frozen=True)
class _Models:
    """What there is before the first round."""

    towers: LazyTowers
    initial: Tensors
    """Untrained."""
    first: Tensors
    """What the first round starts from: that, or what an earlier run has learned."""
    spent: Ledger
    """What that earlier run, or the rounds that are complete, have cost in privacy."""


def coordinate(
    grid: Grid,
    settings: Settings,
    config: FederationConfig,
    folder: RunFolder,
    *,
    commit: str = "",
    contract: RunContract | None = None,
) -> dict[str, Any]:
    """Run the whole federation, or what is left of it; the result is also written to the run's folder.

    Args:
        grid: Flower's.
        settings: of this process.
        config: of the run.
        folder: of the run.
        commit: what the starter says about its checkout, if it has one.
        contract: what clients must have signed; None in a simulation.

    Raises:
        TejidoError: any of it failed; the folder's status says so too, and the MLflow run is closed as failed.
    """
    folder.take_over()
    stores, spec = open_stores(settings), ModelSpec.of(config)
    manifest, base_hash = live_manifest(stores.data), spec.preset.base_hash
    wanted_clients(config, partition_sizes(manifest, removed(stores.data)))
    last, towers = folder.last(), LazyTowers(spec.preset)
    initial = initial_state(spec, towers)
    # Before the run is begun: what it cannot start from shall not take its id. One that goes on needs it no more.
    seals = stores.seals
    first = last.state if last else go_on_from(initial, learned_before(stores.checkpoints, config, base_hash, seals))
    budget = PrivacyBudget.of(config)
    spent = last.ledger if last else spent_before(stores.checkpoints, config, seals)
    if budget and last is None:
        budget.require_round(budget.spent(spent, folder, rounds=0))
    about = folder.begin(About(config.to_run_config(), manifest.version, base_hash))
    teller = Teller(folder, config.rounds)
    if last is not None:
        teller.reports, teller.resumed_from = list(last.reports), last.round
    teller.say("starting", message=f"Catalogue {manifest.version}, {manifest.kept} products.")
    manifest_hash = manifest_sha256(stores.data, manifest.version)
    made_by = provenance(manifest_sha256=manifest_hash, commit=commit, privacy=config.privacy)
    tracker = Tracker.of(settings)
    with _tracked(tracker, about, made_by, settings, folder) as tracking_run:
        run = Run(settings, config, folder, spec, manifest, tracker, tracking_run, teller, made_by, contract)
        result = _stages(grid, run, last, _Models(towers, initial, first, spent))
    folder.finish(result)
    teller.say("completed", done=len(teller.reports), total=config.rounds, message=result["ended_early"])
    return result


@contextmanager
def _tracked(
    tracker: Tracker, about: About, made_by: Provenance, settings: Settings, folder: RunFolder
) -> Iterator[str]:
    """The run's MLflow run: made, or opened again; closed at the end, as failed where it failed."""
    tracking_run = tracker.reopen(FEDERATED_EXPERIMENT, IDENTITY, about.identity) or tracker.start(
        FEDERATED_EXPERIMENT,
        folder.name,
        params=about.config | made_by.as_dict() | {"catalogue_version": about.catalogue_version},
        tags={
            IDENTITY: about.identity,
            "run_key": folder.name,
            "catalogue_version": about.catalogue_version,
            "base_hash": about.base_hash,
            **({"simulation_faults": faults.model_dump_json()} if (faults := settings.simulation_faults) else {}),
        },
        artifacts=local_artifacts(settings),
    )
    # The parameters are those of the beginning: a run that goes on may do so by newer code.
    tracker.tag(tracking_run, {"code_version": made_by.code_version, GIT_COMMIT: made_by.code_version})
    try:
        yield tracking_run
    except BaseException:
        try:
            tracker.end(tracking_run, status="FAILED")
        except TrackingUnreachable as error:
            # What failed first is what counts; it goes on from here.
            log.warning("the MLflow run could not be closed", error=str(error))
        raise
    tracker.end(tracking_run)


def _stages(grid: Grid, run: Run, last: Checkpoint | None, models: _Models) -> dict[str, Any]:
    store = open_stores(run.settings).data
    mailbox = Mailbox(grid, removed=lambda: removed(store))
    is_named = run.settings.simulation_dir is None
    roster = Roster(mailbox, run.config, run.expected, run.teller.say, are_named=is_named, contract=run.contract)
    budget = PrivacyBudget.of(run.config)
    done = last.round if last else 0
    can_go_on = budget is None or budget.allows_round(budget.spent(models.spent, run.folder, rounds=done))
    if last is None or (done < run.config.rounds and can_go_on):
        roster.gather()
    gallery = load_gallery(
        store,
        run.manifest,
        run.spec,
        features_dir=run.settings.features_dir,
        progress=EncodingProgress(run.teller),
        towers=models.towers,
    )
    start = _Start(gallery.evaluate(models.initial, "val"), gallery.evaluate(models.initial, "test"))
    if not run.tracker.steps(run.tracking_run, START_METRIC):
        zero_shot = retrieval_metrics(start.val, "val") | retrieval_metrics(start.test, "zero_shot")
        run.tracker.log(run.tracking_run, zero_shot, step=0)
    rounds = Rounds(run.folder.name, mailbox, roster, new_strategy(run.config))
    with client_runs(run.tracker, run.tracking_run) as clients:
        course = Course(rounds, gallery, run.folder, run.tracker, run.tracking_run, run.teller, clients.note)
        course.budget, course.spent = budget, models.spent
        final = course.run(models.first, last)
    if course.ended_early:
        run.tracker.tag(run.tracking_run, {"ended_early": course.ended_early})
    return _conclude(run, gallery, start, final, ended_early=course.ended_early)


def _conclude(run: Run, gallery: Evaluator, start: _Start, final: Checkpoint, *, ended_early: str) -> dict[str, Any]:
    """Take the round that was best on val, evaluate it on test once, register it as the challenger."""
    chosen = final.best_round
    run.teller.say("testing", message=f"round {chosen} was best on val")
    heads = run.folder.state_after(chosen)
    test = gallery.evaluate(heads, "test")
    zero_shot_val = {
        "recall_at_10": start.val.recall_at_10,
        "recall_by_client": gallery.recall_by_client(start.val, "val"),
    }
    result = _result(run, final, heads, test, start.test) | {
        "zero_shot_val": zero_shot_val,
        "privacy": told_privacy(run.config, final.ledger),
        "ended_early": ended_early,
    }
    # It may have been broken off after this.
    version = run.tracker.registered(run.tracking_run) or _register(run, heads, result)
    run.tracker.set_alias(CHALLENGER, version)
    run.tracker.log(run.tracking_run, retrieval_metrics(test, "test") | run_totals(result), step=final.round)
    result["mlflow"]["version"] = version
    if run.contract:
        run.tracker.log_json(run.tracking_run, CONTRACT_FILE, run.contract.as_dict())
    # Last: a picture must not stand between a model that was paid for and the registry.
    run.tracker.log_files(run.tracking_run, run_plots(result), folder=FOLDER)
    result["mlflow"]["seconds"] = round(run.tracker.seconds, 3)
    return result


def _register(run: Run, heads: Tensors, result: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory(prefix="tejido-model-") as folder:
        card = model_card(result, run.config, run.manifest, run.made_by)
        content_hash = write_model(
            Path(folder), run.spec, heads, card=card, seals=run.folder.seals, run=run.tracking_run
        )
        tags = run.made_by.as_dict() | {
            "content_hash": content_hash,
            "base_hash": run.spec.preset.base_hash,
            "preset": run.spec.preset.name,
            "catalogue_version": run.manifest.version,
            "seed": str(run.config.seed),
            "mode": run.config.mode,
            "run_key": run.folder.name,
        }
        tags |= privacy_tags(result["privacy"])
        version = run.tracker.register(run.tracking_run, Path(folder), tags=tags)
    run.tracker.describe_version(version, card)
    return version


def _result(run: Run, final: Checkpoint, heads: Tensors, test: Retrieval, zero_shot: Retrieval) -> dict[str, Any]:
    return {
        "run_id": run.folder.name,
        "strategy": run.config.strategy,
        "mode": run.config.mode,
        "preset": run.spec.preset.name,
        "catalogue_version": run.manifest.version,
        "trainable_parameters": count(heads),
        "whole_model_parameters": run.spec.preset.parameters,
        "rounds": [report.summary() for report in run.teller.reports],
        "resumed_from": run.teller.resumed_from,
        "chosen_round": final.best_round,
        "chosen_sha256": run.folder.state_sha256(final.best_round),
        "final_sha256": run.folder.state_sha256(final.round),
        "mlflow": {"tracking_uri": run.tracker.uri, "run_id": run.tracking_run, "model": MODEL, "version": None},
        "recall_at_10": {
            "gallery": test.gallery,
            "queries": test.queries,
            "zero_shot": zero_shot.recall_at_10,
            "challenger": test.recall_at_10,
        },
        "test": {"recall_at_1": test.recall_at_1, "recall_at_10": test.recall_at_10, "mrr": test.mrr},
    }
