"""One federated run from the coordinator's side, start to result: what the ServerApp does."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.manifest import CatalogueManifest, live_manifest
from core.progress import NoProgress
from core.settings import Settings
from federation.config import FederationConfig
from federation.evaluation import Retrieval
from federation.model import initial_state
from federation.spec import ModelSpec
from federation.tensors import Tensors, count, size_bytes
from server.checkpoints import RoundReport, RunFolder
from server.gallery import Gallery, load_gallery
from server.model_card import model_card
from server.models import write_model
from server.rounds import Client, Expected, preflight, run_round, wait_for_nodes
from server.stores import local_artifacts, open_stores, tracking_uri
from server.tracking import CHALLENGER, FEDERATED_EXPERIMENT, MODEL, Tracker

if TYPE_CHECKING:
    from server.rounds import Grid


@dataclass
class Run:
    """What belongs to one run; its methods are its stages, in order."""

    settings: Settings
    config: FederationConfig
    folder: RunFolder
    spec: ModelSpec
    manifest: CatalogueManifest
    tracker: Tracker
    tracking_run: str
    rounds: list[RoundReport] = field(default_factory=list)
    best: tuple[float, int, Tensors] | None = None

    @property
    def expected(self) -> Expected:
        """What clients must match."""
        products = {client.name: client.products for client in self.manifest.clients}
        return Expected(self.manifest.version, self.spec.preset.base_hash, products)

    def say(self, stage: str, **more: Any) -> None:
        """Tell whoever waits, with the rounds so far."""
        self.folder.say(stage, rounds=[report.as_dict() for report in self.rounds], **more)


def coordinate(grid: Grid, settings: Settings, config: FederationConfig, folder: RunFolder) -> dict[str, Any]:
    """Run the whole federation; the result is also written to the run's folder.

    Raises:
        TejidoError: any of it failed; the folder's status says so too, and the MLflow run is closed as failed.
    """
    spec = ModelSpec.of(config)
    stores = open_stores(settings)
    manifest = live_manifest(stores.data)
    # A catalogue that was given to fewer clients than a run wants by default can still be trained on.
    config = replace(config, min_clients=min(config.min_clients, max(1, len(manifest.clients))))
    folder.say("starting", message=f"Catalogue {manifest.version}, {manifest.kept} products.")
    tracker = Tracker(tracking_uri(settings))
    tracking_run = tracker.start(
        FEDERATED_EXPERIMENT,
        folder.name,
        params=config.to_run_config(),
        tags={"run_key": folder.name, "catalogue_version": manifest.version, "base_hash": spec.preset.base_hash},
        artifacts=local_artifacts(settings),
    )
    run = Run(settings, config, folder, spec, manifest, tracker, tracking_run)
    try:
        result = _stages(grid, run, stores.data)
    except BaseException:
        tracker.end(tracking_run, status="FAILED")
        raise
    tracker.end(tracking_run)
    folder.finish(result)
    run.say("completed", done=config.rounds, total=config.rounds)
    return result


def _stages(grid: Grid, run: Run, data: Any) -> dict[str, Any]:
    clients = _gather(grid, run)
    gallery = load_gallery(
        data, run.manifest, run.spec, features_dir=run.settings.features_dir, progress=_Encoding(run)
    )
    state = initial_state(run.spec, gallery.towers)
    zero_shot = gallery.evaluate(state, "test")
    start = gallery.evaluate(state, "val")
    run.tracker.log(run.tracking_run, _metrics(start, "val") | _metrics(zero_shot, "zero_shot"), step=0)
    for round_number in range(1, run.config.rounds + 1):
        state = _round(grid, run, clients, gallery, state, round_number)
    return _conclude(run, gallery, zero_shot)


def _gather(grid: Grid, run: Run) -> list[Client]:
    expected = run.expected
    nodes = wait_for_nodes(
        grid,
        expected=len(expected.products),
        minimum=run.config.min_clients,
        wait_s=run.config.wait_s,
        say=lambda message: run.say("waiting", message=message),
    )
    return preflight(grid, nodes, run.config, expected, say=lambda message: run.say("preflight", message=message))


def _round(grid: Grid, run: Run, clients: list[Client], gallery: Gallery, state: Tensors, round_number: int) -> Tensors:
    """One round: train, combine, evaluate on val, checkpoint, log one batch."""
    began = time.monotonic()
    run.say("rounds", done=round_number - 1, total=run.config.rounds)
    total = run_round(grid, state, clients, run.config, run.expected, round_number=round_number)
    state = total.new_state()
    val = gallery.evaluate(state, "val")
    report = RoundReport(
        round=round_number,
        recall_at_10=val.recall_at_10,
        recall_at_1=val.recall_at_1,
        mrr=val.mrr,
        replies=total.replies,
        rejected=len(total.rejections),
        bytes_up=total.bytes_up,
        bytes_down=size_bytes(state) * len(clients),
        seconds=round(time.monotonic() - began, 2),
        loss=total.loss,
        rejections=tuple(total.rejections),
    )
    run.folder.save_round(round_number, state, report)
    run.tracker.log(run.tracking_run, _metrics(val, "val") | _traffic(report), step=round_number)
    run.rounds.append(report)
    if run.best is None or val.recall_at_10 > run.best[0]:
        run.best = (val.recall_at_10, round_number, state)
    run.say("rounds", done=round_number, total=run.config.rounds, message=f"recall@10 {val.recall_at_10:.3f} on val")
    return state


def _conclude(run: Run, gallery: Gallery, zero_shot: Retrieval) -> dict[str, Any]:
    """Take the round that was best on val, evaluate it on test once, register it as the challenger."""
    if run.best is None:
        raise AssertionError("a run has at least one round")
    _, chosen, heads = run.best
    run.say("testing", message=f"round {chosen} was best on val")
    test = gallery.evaluate(heads, "test")
    result = _result(run, chosen, heads, test, zero_shot)
    with tempfile.TemporaryDirectory(prefix="tejido-model-") as folder:
        content_hash = write_model(Path(folder), run.spec, heads, card=model_card(result, run.config, run.manifest))
        tags = {
            "content_hash": content_hash,
            "base_hash": run.spec.preset.base_hash,
            "preset": run.spec.preset.name,
            "catalogue_version": run.manifest.version,
            "seed": str(run.config.seed),
            "run_key": run.folder.name,
        }
        version = run.tracker.register(run.tracking_run, Path(folder), tags=tags)
    run.tracker.set_alias(CHALLENGER, version)
    run.tracker.log(run.tracking_run, _metrics(test, "test"), step=run.config.rounds)
    result["mlflow"]["version"] = version
    return result


def _result(run: Run, chosen: int, heads: Tensors, test: Retrieval, zero_shot: Retrieval) -> dict[str, Any]:
    return {
        "run_id": run.folder.name,
        "strategy": run.config.strategy,
        "preset": run.spec.preset.name,
        "catalogue_version": run.manifest.version,
        "trainable_parameters": count(heads),
        "rounds": [report.as_dict() for report in run.rounds],
        "chosen_round": chosen,
        "mlflow": {"tracking_uri": run.tracker.uri, "run_id": run.tracking_run, "model": MODEL, "version": None},
        "recall_at_10": {
            "gallery": test.gallery,
            "queries": test.queries,
            "zero_shot": zero_shot.recall_at_10,
            "challenger": test.recall_at_10,
        },
        "test": {"recall_at_1": test.recall_at_1, "recall_at_10": test.recall_at_10, "mrr": test.mrr},
    }


def _metrics(retrieval: Retrieval, prefix: str) -> dict[str, float]:
    return {
        f"{prefix}_recall_at_1": retrieval.recall_at_1,
        f"{prefix}_recall_at_10": retrieval.recall_at_10,
        f"{prefix}_mrr": retrieval.mrr,
        f"{prefix}_gallery": retrieval.gallery,
    }


def _traffic(report: RoundReport) -> dict[str, float]:
    names = ("loss", "replies", "rejected", "bytes_up", "bytes_down", "seconds")
    return {name: float(getattr(report, name)) for name in names}


class _Encoding(NoProgress):
    """Passes the encoding's progress on to the run's status, every second at most: each word is an S3 put."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._said = 0.0

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        now = time.monotonic()
        if done == total or now - self._said >= 1.0:
            self._said = now
            self._run.say(stage, done=done, total=total, message=detail)
