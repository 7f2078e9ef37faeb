"""Start a federated run on the SuperLink, follow it to its result, and never wait for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalog.manifest import live_manifest
from core.progress import Progress
from core.settings import Settings
from federation.config import FederationConfig
from federation.presets import load_preset
from server.about import About
from server.audit_notes import note_refusals
from server.checkpoints import RunFolder
from server.contracts import kept_contracts, training_contract
from server.enrolments import removed
from server.errors import ClientsMissing, RunFailed, RunRefused, RunUnknown, ServerError, SuperLinkUnreachable
from server.flower import FINISHED, Flower
from server.selection import partition_sizes, wanted_clients
from server.stores import open_stores

FederationResult = dict[str, Any]
WATCH_S = 1.0
ASK_FLOWER_S = 8.0
"""`flwr list` starts a Python process: often enough to notice a death, seldom enough to leave the cores alone."""
FLOWER_FAILURES = 2
ENCODING_ALLOWANCE_S = 3600.0
ONLINE = "online"


def preflight(settings: Settings) -> dict[str, Any]:
    """Whether a run could succeed now: catalogue live, MLflow answering, clients online.

    Raises:
        CatalogueMissing, StorageUnreachable, TrackingUnreachable, SuperLinkUnreachable: what is not there.
        ClientsMissing: not one client of the catalogue is online.
    """
    # MLflow takes seconds to import, and following a run needs none of it.
    from server.tracking import Tracker

    store = open_stores(settings).data
    manifest = live_manifest(store)
    products = partition_sizes(manifest, removed(store))
    Tracker.of(settings).ping()
    online = sum(node.status == ONLINE for node in _flower(settings).nodes())
    # Flower's list of nodes leaves their names out: who is who shows when the run asks them.
    status = ONLINE if online >= len(products) else "unknown"
    clients = [{"name": name, "products": held, "status": status} for name, held in products.items()]
    if not online:
        raise ClientsMissing(
            f"None of the {len(clients)} clients is online.", hint="Start their SuperNodes, or `tejido up`."
        )
    return {"catalogue_version": manifest.version, "products": manifest.kept, "clients": clients, "online": online}


def run_federation(settings: Settings, config: FederationConfig, run_key: str, progress: Progress) -> FederationResult:
    """Run the federation on the SuperLink of ``settings`` and return its result.

    A key whose run was completed gives that result again, without training; one whose run was broken off goes on after
    its last complete round.

    Raises:
        ClientUnknown: the config names a client that the catalogue does not have.
        RunDiffers: the key's run has another config, or the catalogue or the base model has changed since it began.
        RunFailed: the run ended without a result, and may succeed when it is tried again; holds the first error.
        RunRefused: the same, but trying again would not help.
        SuperLinkUnreachable: Flower is gone.
    """
    start_federation(settings, config, run_key)
    return _noted(settings, _watch(settings, run_key, progress).until_done())


def start_federation(settings: Settings, config: FederationConfig, run_key: str) -> str | None:
    """Hand the run to Flower and return Flower's id of it; None: a run of this key was completed, nothing is started.

    A run that was broken off goes on after its last complete round. One that somebody else has started is taken over:
    of two that start the same key, the later one's coordinator works on it, and the other can commit nothing more.

    Raises:
        ClientUnknown, RunDiffers, RunFailed, SuperLinkUnreachable: as `run_federation`.
    """
    stores = open_stores(settings)
    folder = RunFolder(stores.checkpoints, run_key)
    if folder.result():
        folder.require_config(config)
        return None
    manifest = live_manifest(stores.data)
    wanted_clients(config, partition_sizes(manifest, removed(stores.data)))
    folder.begin(About(config.to_run_config(), manifest.version, load_preset(config.preset).base_hash))
    flower = _flower(settings)
    earlier = folder.attempt()
    if earlier:
        # Whoever started it is gone, but it may be at work still, in the same folder.
        flower.stop(earlier)
    folder.take_over()
    # Nobody shall take the end of an earlier attempt for that of this one.
    folder.say("starting", message="The run is handed to Flower.", **folder.told_rounds())
    contract = training_contract(folder.name, config, limit_s=time_limit_s(config))
    flower_run = flower.start(config.to_run_config() | {"run-key": folder.name}, contract=contract)
    folder.note_attempt(flower_run)
    return flower_run


def wait_for_federation(settings: Settings, run_key: str, progress: Progress) -> FederationResult:
    """Wait for the result of a run that `start_federation` has started; whoever waits may go, the run goes on.

    Raises:
        RunUnknown: no run of that key was started.
        RunFailed, RunRefused, SuperLinkUnreachable: as `run_federation`.
    """
    watch = _watch(settings, run_key, progress)
    try:
        return _noted(settings, watch.wait())
    except ServerError:
        # It has failed, or takes too long: it shall not work on beside the next attempt.
        watch.stop_quietly()
        raise


def _noted(settings: Settings, result: FederationResult) -> FederationResult:
    note_refusals(settings, result)
    return result


def stop_federation(settings: Settings, run_key: str) -> dict[str, Any]:
    """End what works on a run, if anything does; it can go on later, after its last complete round.

    Raises:
        RunUnknown: there is no run of that key.
        SuperLinkUnreachable: Flower is gone.
    """
    folder = RunFolder(open_stores(settings).checkpoints, run_key)
    if folder.about() is None:
        raise _unknown(run_key)
    attempt = None if folder.result() else folder.attempt()
    if attempt:
        _flower(settings).stop(attempt)
    return {"run_id": folder.name, "stopped": attempt is not None}


def resume_federation(settings: Settings, run_key: str, progress: Progress) -> FederationResult:
    """Go on with a run that was broken off, by its own config; one that was completed gives its result.

    Raises:
        RunUnknown: there is no run of that key.
        RunDiffers, RunFailed, RunRefused, SuperLinkUnreachable: as `run_federation`.
    """
    about = RunFolder(open_stores(settings).checkpoints, run_key).about()
    if about is None:
        raise _unknown(run_key)
    return run_federation(settings, FederationConfig.from_run_config(about.config), run_key, progress)


def run_status(settings: Settings, run_key: str) -> dict[str, Any]:
    """How far a run is: stage, message, the rounds so far, and its error if it failed.

    Raises:
        RunUnknown: there is no run of that key.
    """
    folder = RunFolder(open_stores(settings).checkpoints, run_key)
    status = folder.status()
    if status is None:
        raise _unknown(run_key)
    return {"run_id": folder.name, **status}


def run_contracts(settings: Settings, run_key: str) -> dict[str, Any]:
    """Under which contracts a run or a wave was done, and who has signed them: `server.contracts.kept_contracts`.

    Raises:
        RunUnknown: there is no run of that key, and no wave that anybody has answered.
    """
    store = open_stores(settings).checkpoints
    folder = RunFolder(store, run_key)
    contracts = kept_contracts(store, folder.name)
    if not contracts and folder.about() is None:
        raise _unknown(run_key)
    return {"run_id": folder.name, "contracts": contracts}


def time_limit_s(config: FederationConfig) -> float:
    """Longer than any run that works: waiting, encoding, every attempt at every round to its deadline."""
    attempt_s = config.wait_s + config.deadline_s + 60
    return config.wait_s + ENCODING_ALLOWANCE_S + config.rounds * (1 + config.round_retries) * attempt_s


@dataclass
class Watch:
    """Follows one run by its folder, and asks Flower now and then whether it lives."""

    flower: Flower
    flower_run: str
    folder: RunFolder
    progress: Progress
    limit_s: float
    check: Callable[[], None] = lambda: None
    """Called at every look; raises when something that the run needs has died."""
    _failures: int = 0

    def until_done(self) -> FederationResult:
        """Wait for the result; whatever happens instead, Ctrl-C too, the run does not go on alone."""
        try:
            return self.wait()
        except BaseException:
            self.stop_quietly()
            raise

    def wait(self) -> FederationResult:
        """Wait for the result.

        Raises:
            RunFailed, RunRefused: the run ended without one, or takes too long.
            SuperLinkUnreachable: Flower did not answer, twice.
        """
        deadline = time.monotonic() + self.limit_s
        ask_at = time.monotonic() + ASK_FLOWER_S
        while time.monotonic() < deadline:
            self.check()
            status = self.folder.status() or {}
            self._tell(status)
            if result := self.folder.result():
                return result
            if status.get("stage") == "failed":
                raise self._failed(status)
            if time.monotonic() >= ask_at:
                self._ask_flower()
                ask_at = time.monotonic() + ASK_FLOWER_S
            time.sleep(WATCH_S)
        raise RunFailed(f"Run {self.folder.name} took longer than {self.limit_s:.0f} s.", hint="See its log.")

    def _tell(self, status: dict[str, Any]) -> None:
        stage = status.get("stage")
        if stage in ("encoding", "rounds", "publishing"):
            self.progress.update(stage, status["done"], status["total"], status.get("message", ""))
        elif stage and stage != "completed":
            self.progress.update("rounds", 0, None, f"{stage}: {status.get('message', '')}")

    def _ask_flower(self) -> None:
        try:
            status, details = self.flower.status(self.flower_run)
        except SuperLinkUnreachable:
            self._failures += 1
            if self._failures >= FLOWER_FAILURES:
                raise
            return
        self._failures = 0
        if status.startswith(FINISHED) and not self.folder.result():
            raise self._failed(self.folder.status() or {}, f"Flower says {status} {details}".strip())

    def _failed(self, status: dict[str, Any], flower_says: str = "") -> ServerError:
        error = status.get("error") or {}
        first = f"{error['message']} [{error['code']}]" if error else flower_says or "no reason given"
        message = f"Run {self.folder.name} failed: {first}"
        if not error:
            tail = self.flower.log_tail(self.flower_run)
            return RunFailed(message, hint=f"The end of its log follows.\n{tail}")
        kind = RunFailed if status.get("may_retry", True) else RunRefused
        return kind(message, hint=error.get("hint") or "")

    def stop_quietly(self) -> None:
        """End the run; that it cannot be ended is said and is no error."""
        try:
            self.flower.stop(self.flower_run)
        except ServerError as error:
            self.progress.update("rounds", 0, None, f"could not stop the run: {error}")


def _watch(settings: Settings, run_key: str, progress: Progress) -> Watch:
    """Whoever waits for a run needs to know no more than its key."""
    folder = RunFolder(open_stores(settings).checkpoints, run_key)
    about = folder.about()
    if about is None:
        raise _unknown(run_key)
    limit_s = time_limit_s(FederationConfig.from_run_config(about.config))
    return Watch(_flower(settings), folder.attempt() or "", folder, progress, limit_s=limit_s)


def _flower(settings: Settings) -> Flower:
    return Flower.of(settings)


def _unknown(run_key: str) -> RunUnknown:
    return RunUnknown(f"There is no run {run_key!r}.", hint="Its id stands in Airflow, and in the run's output.")
