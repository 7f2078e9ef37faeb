"""What runs the ClientApps of one client: it has the client's bucket, but not its SuperNode's key."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, listens
from embedded.supernode import SuperNode


@dataclass(frozen=True, kw_only=True)
class ClientApps(ServiceDefaults):
    """Takes the messages of one SuperNode, and runs a process for each."""

    supernode: SuperNode
    port: Port
    client_env: Path
    deadline_s: float = 90.0

    @property
    def name(self) -> str:
        """With its client."""
        return f"ClientApps of {self.supernode.client}"

    @property
    def slug(self) -> str:
        """With its client."""
        return f"clientapps-{self.supernode.client}"

    @property
    def url(self) -> str:
        """Of its health service (gRPC)."""
        return f"grpc://{LOOPBACK}:{self.port.number}"

    def command(self) -> Command:
        """Our SuperExec in the foreground, with the client's environment."""
        arguments = (
            *(sys.executable, "-m", "clients.superexec", "--insecure"),
            *("--runtime-api-address", f"{LOOPBACK}:{self.supernode.port.number}"),
            *("--superexec-auth-secret-file", str(self.supernode.executor_secret)),
            *("--health-server-address", f"{LOOPBACK}:{self.port.number}"),
        )
        home = self.supernode.state.folder("clientapps", self.supernode.client)
        environment = {
            **self.supernode.superlink.quiet,
            "FLWR_HOME": str(home),
            "TEJIDO_ENV_FILE": str(self.client_env),
        }
        return Command(arguments, environment, cwd=home)

    def is_ready(self) -> bool:
        """Whether its health service listens."""
        return listens(self.port.number)
