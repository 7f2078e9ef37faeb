"""Virtual clients in Flower's simulation engine: the same ServerApp and ClientApp, folders in place of buckets.

A SuperLink of its own lives as long as the simulation, on the loopback interface, with a Flower home of its own;
neither it nor Ray's processes outlive the call. Faults go to the simulated processes alone, as one of their settings.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from catalog.census import take_census
from catalog.etl import clean_and_split, obtain, partition
from catalog.manifest import LIVE_KEY, live_manifest, manifest_of, new_version
from catalog.objects import DirectoryStore, ObjectStore
from core.names import client_names
from core.progress import Progress
from core.settings import Settings, SimulationFaults
from federation.config import FederationConfig
from server.checkpoints import RunFolder
from server.errors import RunFailed
from server.flower import PROGRAMS, Flower, flower_environment
from server.plots import FOLDER, PARTITION, partition_plot
from server.runs import FederationResult, Watch, time_limit_s
from server.tracking import Login, Tracker

LOOPBACK = "127.0.0.1"
CONNECTION = "simulation"
READY_S = 60.0
STOP_S = 10.0
MARK = "TEJIDO_SIMULATION_ID"
FAULTS, SEALS = "TEJIDO_SIMULATION_FAULTS", "TEJIDO_ARTIFACT_KEYS_DIR"
OWN = ("TEJIDO_ENV_FILE", "TEJIDO_CLIENT_NAME", "TEJIDO_CLIENT_BUCKET", FAULTS, SEALS)
"""What this process's own environment says about it, and shall not say about the simulated ones."""


def prepare_simulation(
    root: Path,
    *,
    spec: str,
    clients: int,
    partition_spec: str = "iid",
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Load a catalogue into ``root`` (data/ and one client-<name>/ each) by the ETL's own steps; returns its summary.

    Raises:
        CatalogError: the source, the partition or the products are not as they should be; nothing is live then.
    """
    store = DirectoryStore(root / "data")
    _remove_clients(root, keep=client_names(clients))
    folders: dict[str, ObjectStore] = {n: DirectoryStore(root / f"client-{n}") for n in client_names(clients)}
    version = new_version()
    obtain(version, spec=spec, store=store, limit=limit, seed=seed, progress=progress)
    clean_and_split(version, store=store, progress=progress)
    loaded = partition(version, spec=partition_spec, clients=folders, store=store, progress=progress)
    store.put(LIVE_KEY, manifest_of(store, version).to_json())
    return loaded


def chosen_attackers(clients: int, attackers: int, *, seed: int) -> tuple[str, ...]:
    """Which of a simulation's clients attack: the first ``attackers`` of an order that the seed decides."""
    order = sorted(client_names(clients), key=lambda name: hashlib.sha256(f"{seed}/attacker/{name}".encode()).digest())
    return tuple(sorted(order[:attackers]))


def simulate(
    root: Path,
    config: FederationConfig,
    *,
    clients: int,
    run_key: str,
    progress: Progress,
    settings: Settings,
    faults: SimulationFaults | None = None,
) -> FederationResult:
    """Run the federation over ``root`` as `prepare_simulation` left it, with ``clients`` virtual clients.

    MLflow is the server of ``settings``, or a SQLite file in ``root`` when none is set. Virtual clients queue for the
    machine's cores: a round's deadline is taken times the number of clients that one core serves.

    Args:
        root: the simulation's folder.
        config: of the run.
        clients: how many.
        run_key: name of the run; one of that name before is forgotten.
        progress: told of the rounds.
        settings: of this process.
        faults: what goes wrong; the result names it.

    Raises:
        RunFailed: the run, or its SuperLink, ended without a result; holds the reason and the end of the log.
    """
    folder = RunFolder(DirectoryStore(root / "checkpoints"), run_key)
    folder.clear()
    environment = {"TEJIDO_SIMULATION_DIR": str(root.resolve()), "TEJIDO_CACHE_DIR": str(root.resolve() / "cache")}
    if settings.mlflow_uri:
        environment["TEJIDO_MLFLOW_URI"] = settings.mlflow_uri
        environment["TEJIDO_MLFLOW_USERNAME"] = settings.mlflow_username
        if settings.mlflow_password_file:
            environment["TEJIDO_MLFLOW_PASSWORD_FILE"] = str(settings.mlflow_password_file.resolve())
    if settings.artifact_keys_dir:
        environment[SEALS] = str(settings.artifact_keys_dir.resolve())
    if faults:
        environment[FAULTS] = faults.model_dump_json()
    config = with_shared_cores(config, clients=clients, cores=len(os.sched_getaffinity(0)))
    with _superlink(environment) as superlink:
        # Each virtual client takes one core for the length of a message; Ray queues the others.
        flower_run = superlink.flower.start(
            config.to_run_config() | {"run-key": folder.name},
            federation_config=f"num-supernodes={clients} client-resources-num-cpus=1",
        )
        watch = Watch(superlink.flower, flower_run, folder, progress, time_limit_s(config), check=superlink.check)
        result = watch.until_done()
    _log_partition(DirectoryStore(root / "data"), result["mlflow"], Login.of(settings))
    return result | ({"faults": faults.model_dump()} if faults else {})


def with_shared_cores(config: FederationConfig, *, clients: int, cores: int) -> FederationConfig:
    """The config with a round's deadline for clients that wait for each other: one core serves one at a time."""
    return replace(config, deadline_s=config.deadline_s * math.ceil(clients / cores))


def _log_partition(store: ObjectStore, tracked: Mapping[str, str], login: Login | None) -> None:
    """Keep a plot of who holds what with the run: no ETL run tells it here."""
    plot = partition_plot(take_census(store, live_manifest(store)))
    Tracker(tracked["tracking_uri"], login).log_files(tracked["run_id"], {PARTITION: plot}, folder=FOLDER)


def _remove_clients(root: Path, *, keep: list[str]) -> None:
    """Remove the folders of a larger simulation before this one: virtual clients are numbered by their folders."""
    for folder in root.glob("client-*"):
        if folder.name.removeprefix("client-") not in keep:
            shutil.rmtree(folder)


@dataclass
class _SuperLink:
    flower: Flower
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise once the process has ended."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise RunFailed(f"The simulation's SuperLink ended with status {self.process.returncode}.", hint=tail)


@contextmanager
def _superlink(environment: dict[str, str]) -> Iterator[_SuperLink]:
    """A SuperLink in simulation mode, gone with all its descendants afterwards."""
    mark = uuid.uuid4().hex
    # A short path: Ray's Unix sockets lie below it, and their names have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="tj-", ignore_cleanup_errors=True) as name:
        home, port = Path(name), _free_port()
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
            f'address = "{LOOPBACK}:{port}"\ninsecure = true\n'
        )
        ray = {"RAY_TMPDIR": name, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        inherited = flower_environment(home, ray | {MARK: mark})
        for variable in OWN:
            inherited.pop(variable, None)
        environment = inherited | environment
        log = home / "superlink.log"
        # Unencrypted, but never off this machine's loopback interface, and for the length of one simulation only.
        command = [
            *(str(PROGRAMS / "flower-superlink"), "--simulation", "--insecure"),
            *("--host", LOOPBACK, "--port", str(port), "--disable-runtime-dependency-installation"),
        ]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, env=environment, stdout=stream, stderr=stream, start_new_session=True, cwd=home
            )
        try:
            superlink = _SuperLink(Flower(home, CONNECTION), process, log)
            _await_ready(superlink, port)
            yield superlink
        finally:
            _end(process, mark)


def _await_ready(superlink: _SuperLink, port: int) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        superlink.check()
        try:
            if httpx.get(f"http://{LOOPBACK}:{port}/health", timeout=1.0).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RunFailed(f"The simulation's SuperLink was not ready within {READY_S:.0f} s.", hint="Try again.")


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End the SuperLink and everything that bears its mark: Ray's daemons leave their parent's process tree."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    survivors = [child for child in psutil.process_iter() if child.pid != os.getpid() and _bears(child, mark)]
    for child in survivors:
        _signal(child, graceful=True)
    _, alive = psutil.wait_procs(survivors, timeout=STOP_S)
    for child in alive:
        _signal(child, graceful=False)
    psutil.wait_procs(alive, timeout=STOP_S)


def _bears(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, *, graceful: bool) -> None:
    try:
        process.terminate() if graceful else process.kill()
    except psutil.NoSuchProcess:
        return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
