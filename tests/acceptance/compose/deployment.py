"""One deployment of docker-compose.yaml, as an operator handles it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.compose.engine import run

PORTS = {
    "API_PORT": 28800, "API_PORT_2": 28801, "AIRFLOW_PORT": 28080, "MLFLOW_PORT": 25001, "STORE_CONSOLE_PORT": 29001,
    "POSTGRES_PORT": 25432, "PROMETHEUS_PORT": 29090, "GRAFANA_PORT": 23000,
}  # fmt: skip
"""Apart from those of other deployments and embedded stacks, and below those that the kernel gives to connections."""


@dataclass
class Deployment:
    """A project of its own: containers, networks and volumes."""

    project: str
    folder: Path
    catalogue: Path
    files: list[str] = field(default_factory=lambda: ["docker-compose.yaml"])

    def __post_init__(self) -> None:
        lines = [f"{name}={port}" for name, port in PORTS.items()]
        lines += [f"CATALOGUE_DIR={self.catalogue}", f"AIRFLOW_SECRETS_DIR={self.folder / 'secrets'}", "TORCH_INDEX="]
        (self.folder / "secrets").mkdir(exist_ok=True)
        (self.folder / "env").write_text("\n".join(lines) + "\n")

    def compose(self, *arguments: str) -> str:
        """`docker-compose`, with every profile that has images here."""
        files = [part for file in self.files for part in ("-f", file)]
        return run(
            *("docker-compose", "--env-file", str(self.folder / "env"), "-p", self.project, *files, *arguments)
        )  # fmt: skip

    def up(self) -> None:
        """Everything, in the background; returns when all has been started in its order."""
        self.compose("--profile", "all", "up", "-d", "--no-build")

    def down(self, *, with_volumes: bool = False) -> None:
        """Containers and networks away; volumes stay unless asked."""
        self.compose(
            "--profile", "all", "down", "-t", "10", *(["--volumes", "--remove-orphans"] if with_volumes else [])
        )

    def container(self, service: str) -> str:
        """Name of a service's container."""
        return f"{self.project}_{service}_1"

    def health(self) -> dict[str, str]:
        """Service → ``healthy``, ``starting``, ``exited 0``, … for every container."""
        names = run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        found = {}
        for container in json.loads(run("docker", "inspect", *names)) if names else []:
            state = container["State"]
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            health = state.get("Health", {}).get("Status", state["Status"])
            found[service] = health if state["Running"] else f"{state['Status']} {state['ExitCode']}"
        return found

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker says of a service's container."""
        found: dict[str, Any] = json.loads(run("docker", "inspect", self.container(service)))[0]
        return found

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a service's container."""
        line = ["docker", "exec", self.container(service), *command]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)

    def tejido(self, *arguments: str) -> Any:
        """A command of the operator's, in a container of its own; its JSON."""
        said = self.compose(
            "--profile", "debug", "run", "--rm", "-T", "--no-deps", "cli", *arguments, "--format", "json"
        )
        return json.loads(said.strip().splitlines()[-1])

    def kill(self, service: str) -> None:
        """`docker kill`; Docker does not start again what was killed by hand, so whoever operates it does."""
        run("docker", "kill", self.container(service))
        run("docker", "start", self.container(service))

    def log(self, service: str, lines: int = 60) -> str:
        """The end of a service's log."""
        line = ["docker", "logs", "--tail", str(lines), self.container(service)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def wait_until(what: str, holds: Callable[[], Any], *, within_s: float, every_s: float = 1.0) -> Any:
    """What ``holds`` returns once it is true; an error that says what did not come true in time."""
    until = time.monotonic() + within_s
    while not (found := holds()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)
    return found


def unwell(health: dict[str, str]) -> dict[str, str]:
    """Services that are neither healthy nor ended in good order."""
    return {service: state for service, state in health.items() if state not in ("healthy", "exited 0")}
