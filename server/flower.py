"""Flower's command line, whose exit codes lie: what counts is the JSON it prints and the status it reports."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.settings import Settings
from federation.config import RunConfig
from security.node_keys import public_pem
from server.contracts import Draft, signed_settings
from server.errors import NodeKeyRefused, RunFailed, SuperLinkUnreachable
from server.provenance import git_commit

PROJECT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
BUNDLED = ("core", "catalog", "security", "federation", "clients", "server")
COMMAND_S = 60.0
FINISHED = "finished:"
UNREGISTERED = "unregistered"
LOG_TAIL_LINES = 30
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Node:
    """One SuperNode as the SuperLink knows it."""

    node_id: str
    status: str


@dataclass(frozen=True)
class NamedNode:
    """One that was registered at any time: what it was registered as, and by which key."""

    node_id: str
    name: str
    status: str
    """``unregistered`` once it was; its key is never accepted again."""
    public_key: str
    """PEM."""


@dataclass(frozen=True)
class Flower:
    """The ``flwr`` command against one connection of ``home/config.toml``."""

    home: Path
    connection: str
    bundle_key: Path | None = None
    """Signs the contracts of what is submitted; None: they are not signed."""

    @classmethod
    def of(cls, settings: Settings) -> Flower:
        """The one that a process of the operator is told of."""
        return cls(Path(settings.required("flwr_home")), settings.superlink_connection, settings.bundle_key_file)

    def start(
        self, run_config: RunConfig, *, contract: Draft | None = None, federation_config: str | None = None
    ) -> str:
        """Bundle the app, submit it, and return Flower's run id.

        Args:
            run_config: its settings.
            contract: what its clients sign; None in a simulation, whose clients are nobody else's.
            federation_config: of Flower.

        Raises:
            RunFailed: Flower refused the app or its settings.
            SuperLinkUnreachable: nobody answered.
        """
        commit = git_commit()
        run_config = {**run_config, "code-commit": commit}
        with _bundle_folder() as app:
            if contract:
                run_config |= signed_settings(contract(self._build(app), commit), self.bundle_key)
            overrides = app / "overrides.toml"
            overrides.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in run_config.items()))
            extra = ["--federation-config", federation_config] if federation_config else []
            answer = self._json("run", str(app), self.connection, "--run-config", str(overrides), *extra)
        return str(answer["run-id"])

    def _build(self, app: Path) -> str:
        """SHA-256 of the bundle that Flower makes of an app: the same bytes for the same sources, whenever it does."""
        with tempfile.TemporaryDirectory(prefix="tejido-bundle-") as folder:
            done = self._run("build", "--app", str(app), cwd=Path(folder))
            bundles = list(Path(folder).glob("*.fab"))
            if len(bundles) != 1:
                raise RunFailed(f"`flwr build` made no bundle: {(done.stderr or done.stdout)[-600:]}")
            return hashlib.sha256(bundles[0].read_bytes()).hexdigest()

    def status(self, run_id: str) -> tuple[str, str]:
        """``pending``, ``starting``, ``running`` or ``finished:…``, and details."""
        answer = self._json("list", self.connection, "--run-id", run_id)
        run = answer["runs"][0]
        return str(run["status"]), str(run.get("status-details") or "")

    def log(self, run_id: str) -> str:
        """What a run's coordinator has written; Flower keeps it, and nobody else.

        Raises:
            SuperLinkUnreachable: nobody answered in time.
        """
        return self._run("log", run_id, self.connection, "--show").stdout

    def log_tail(self, run_id: str) -> str:
        """The last lines of a run's log."""
        try:
            lines = self.log(run_id).strip().splitlines()
        except SuperLinkUnreachable as error:
            return f"(no log: {error})"
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def stop(self, run_id: str) -> None:
        """End a run; one that has ended already is no error."""
        self._run("stop", run_id, self.connection, "--format", "json")

    def nodes(self) -> list[Node]:
        """Every registered SuperNode; Flower's list leaves their names out."""
        answer = self._json("supernode", "list", self.connection)
        return [Node(str(node["node-id"]), str(node["status"])) for node in answer["nodes"]]

    def register(self, public_key: Path, name: str) -> None:
        """Admit the SuperNode that has this key; one that is admitted already is no error.

        Raises:
            NodeKeyRefused: the key was unregistered before, or is another client's.
            SuperLinkUnreachable: nobody answered.
        """
        try:
            self._json("supernode", "register", str(public_key), self.connection, "--name", name)
        except RunFailed as error:
            if "already in use" not in error.message.lower():
                raise
            pem = public_pem(public_key.read_text()).strip()
            mine = [node for node in self.named_nodes() if node.public_key.strip() == pem]
            if not any(node.name == name and node.status != UNREGISTERED for node in mine):
                raise NodeKeyRefused(
                    f"The SuperLink will never accept the node key of {name}: it was unregistered before, or is "
                    "another client's.",
                    hint=f"Give it new keys: `tejido client rotate {name}`; in containers set-up with --rotate.",
                ) from error

    def named_nodes(self) -> list[NamedNode]:
        """Every SuperNode that was ever registered, with its name."""
        answer = self._answer(self._call(sys.executable, "-m", "server.supernodes", self.connection), "supernode list")
        return [
            NamedNode(node["node-id"], node["name"], node["status"], node["public-key"]) for node in answer["nodes"]
        ]

    def retire(self, name: str, *, keep: str = "") -> list[str]:
        """Unregister the nodes of a name, but for the one that has the key ``keep`` (PEM); returns their ids.

        A running SuperNode is refused from then on, and its key is never accepted again.
        """
        gone = [
            node.node_id
            for node in self.named_nodes()
            if node.name == name and node.status != UNREGISTERED and node.public_key.strip() != keep.strip()
        ]
        for node_id in gone:
            self._json("supernode", "unregister", node_id, self.connection)
        return gone

    def _json(self, *arguments: str) -> dict[str, Any]:
        return self._answer(self._run(*arguments, "--format", "json"), arguments[0])

    def _answer(self, done: subprocess.CompletedProcess[str], what: str) -> dict[str, Any]:
        start = done.stdout.find("{")
        try:
            answer: dict[str, Any] = json.loads(done.stdout[start:]) if start >= 0 else {}
        except ValueError:
            answer = {}
        if not answer.get("success"):
            said = str(answer.get("error-message") or done.stderr.strip() or done.stdout.strip() or "nothing")
            if _is_about_the_connection(said):
                raise self._unreachable(said)
            raise RunFailed(f"`flwr {what}` failed: {said[-600:]}", hint="Look at the SuperLink's log.")
        return answer

    def _run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self._call(str(PROGRAMS / "flwr"), *arguments, cwd=cwd)

    def _call(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = flower_environment(self.home)
        try:
            return subprocess.run(
                command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=COMMAND_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._unreachable(
                f"no answer to `{Path(command[0]).name} {command[1]}` within {COMMAND_S:.0f} s"
            ) from None

    def _unreachable(self, said: str) -> SuperLinkUnreachable:
        return SuperLinkUnreachable(
            # What Flower says first is what it was about to do; the reason stands last.
            f"The SuperLink behind connection {self.connection!r} did not answer: {said.strip().splitlines()[-1]}",
            hint=f"Is it running? Its address stands in {self.home}/config.toml.",
        )


def flower_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a Flower process of ours; Flower looks for its other programs on the path."""
    path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", os.defpath)])
    return {**os.environ, **QUIET, "PATH": path, "FLWR_HOME": str(home), **(more or {})}


def _is_about_the_connection(said: str) -> bool:
    return any(word in said.lower() for word in ("connection refused", "unavailable", "unreachable", "connect"))


@contextmanager
def _bundle_folder() -> Iterator[Path]:
    """A folder with the app's sources alone: Flower walks the whole folder, and a checkout holds environments."""
    with tempfile.TemporaryDirectory(prefix="tejido-app-") as name:
        app = Path(name) / "tejido"
        for part in BUNDLED:
            shutil.copytree(PROJECT / part, app / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", app / "pyproject.toml")
        yield app
