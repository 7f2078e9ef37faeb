"""What runs the coordinator's ServerApps, one for each run: it has the settings of the platform, the SuperLink none."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, listens
from embedded.superlink import SuperLink


@dataclass(frozen=True, kw_only=True)
class Coordinator(ServiceDefaults):
    """Takes the runs that are started at the SuperLink, and runs a process for each."""

    superlink: SuperLink
    port: Port
    platform_env: Path
    name: str = "Coordinator"
    slug: str = "coordinator"
    needs: tuple[str, ...] = ("superlink",)
    deadline_s: float = 90.0

    @property
    def url(self) -> str:
        """Of its health service (gRPC)."""
        return f"grpc://{LOOPBACK}:{self.port.number}"

    def command(self) -> Command:
        """Our SuperExec in the foreground, with the platform's environment."""
        arguments = (
            *(sys.executable, "-m", "server.superexec"),
            *("--runtime-api-address", self.superlink.address),
            *("--root-certificates", str(self.superlink.authority)),
            *("--superexec-auth-secret-file", str(self.superlink.executor_secret)),
            *("--health-server-address", f"{LOOPBACK}:{self.port.number}"),
        )
        home = self.superlink.state.folder("coordinator")
        environment = {**self.superlink.quiet, "FLWR_HOME": str(home), "TEJIDO_ENV_FILE": str(self.platform_env)}
        return Command(arguments, environment, cwd=home)

    def is_ready(self) -> bool:
        """Whether its health service listens."""
        return listens(self.port.number)
