"""Flower's command line, whose exit codes lie: what counts is the JSON it prints and the status it reports."""

from __future__ import annotations

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

from federation.config import RunConfig
from server.errors import RunFailed, SuperLinkUnreachable
from server.provenance import git_commit

PROJECT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
BUNDLED = ("core", "catalog", "security", "federation", "clients", "server")
COMMAND_S = 60.0
FINISHED = "finished:"
LOG_TAIL_LINES = 30
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Node:
    """One SuperNode as the SuperLink knows it."""

    node_id: str
    status: str


@dataclass(frozen=True)
class Flower:
    """The ``flwr`` command against one connection of ``home/config.toml``."""

    home: Path
    connection: str

    def start(self, run_config: RunConfig, *, federation_config: str | None = None) -> str:
        """Bundle the app, submit it, and return Flower's run id.

        Raises:
            RunFailed: Flower refused the app or its settings.
            SuperLinkUnreachable: nobody answered.
        """
        run_config = {**run_config, "code-commit": git_commit()}
        with _bundle_folder() as app:
            overrides = app / "overrides.toml"
            overrides.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in run_config.items()))
            extra = ["--federation-config", federation_config] if federation_config else []
            answer = self._json("run", str(app), self.connection, "--run-config", str(overrides), *extra)
        return str(answer["run-id"])

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
        """Admit the SuperNode that has this key; one that is admitted already is no error."""
        try:
            self._json("supernode", "register", str(public_key), self.connection, "--name", name)
        except RunFailed as error:
            if "already in use" not in error.message.lower():
                raise

    def _json(self, *arguments: str) -> dict[str, Any]:
        done = self._run(*arguments, "--format", "json")
        start = done.stdout.find("{")
        try:
            answer: dict[str, Any] = json.loads(done.stdout[start:]) if start >= 0 else {}
        except ValueError:
            answer = {}
        if not answer.get("success"):
            said = str(answer.get("error-message") or done.stderr.strip() or done.stdout.strip() or "nothing")
            if _is_about_the_connection(said):
                raise self._unreachable(said)
            raise RunFailed(f"`flwr {arguments[0]}` failed: {said[-600:]}", hint="Look at the SuperLink's log.")
        return answer

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAMS / "flwr"), *arguments]
        environment = flower_environment(self.home)
        try:
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=COMMAND_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._unreachable(f"no answer to `flwr {arguments[0]}` within {COMMAND_S:.0f} s") from None

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
