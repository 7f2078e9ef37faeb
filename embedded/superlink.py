"""The Flower SuperLink: the coordinator's end, with TLS and node authentication."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.files import write_atomically
from deployment.nodes import mark_all_nodes_offline
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, Steps, answers
from embedded.state import PRIVATE, StateFolder
from security.certificates import ServerCertificate, server_certificate
from server.flower import Flower

CONNECTION = "tejido"
PROGRAMS = Path(sys.executable).parent
QUIET: Mapping[str, str] = {
    # No calls home, and no look for newer versions: everything works without a network.
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    # Flower looks for a message to work on once a second: half a second in vain in every message.
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
}


@dataclass(frozen=True, kw_only=True)
class SuperLink(ServiceDefaults):
    """One SuperLink on the loopback interface; its Control API has no login, so it must stay there."""

    state: StateFolder
    port: Port
    name: str = "Flower SuperLink"
    slug: str = "superlink"
    deadline_s: float = 90.0
    quiet: Mapping[str, str] = field(default_factory=lambda: QUIET)

    @property
    def address(self) -> str:
        """host:port, as Flower wants it."""
        return f"{LOOPBACK}:{self.port.number}"

    @property
    def url(self) -> str:
        """Of its HTTP API."""
        return f"https://{self.address}"

    @property
    def authority(self) -> Path:
        """The certificate that SuperNodes and the operator trust."""
        return self._tls / "ca.pem"

    @property
    def executor_secret(self) -> Path:
        """The file by which what runs its ServerApps is known; made when it is first asked for."""
        return self.state.secret_file("superexec-coordinator")

    @property
    def operator_home(self) -> Path:
        """FLWR_HOME of whoever starts runs."""
        return self.state.root / "flwr"

    def prepare(self, steps: Steps) -> None:  # noqa: ARG002 - every service is prepared alike
        """Make the certificates, and the operator's connection file."""
        certificates(self.state)
        lines = [
            "[superlink]",
            f'default = "{CONNECTION}"',
            "",
            f"[superlink.{CONNECTION}]",
            f'address = "{self.address}"',
            f'root-certificates = "{self.authority}"',
        ]
        write_atomically(self.operator_home / "config.toml", ("\n".join(lines) + "\n").encode())
        mark_all_nodes_offline(self._database)

    def command(self) -> Command:
        """The SuperLink in the foreground."""
        home = self.state.folder("superlink")
        tls = (
            *("--ssl-certfile", str(self._tls / "server.pem")),
            *("--ssl-keyfile", str(self._tls / "server.key")),
            *("--ssl-ca-certfile", str(self.authority)),
        )
        arguments = (
            *(str(PROGRAMS / "flower-superlink"), "--host", LOOPBACK, "--port", str(self.port.number), *tls),
            *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
            *("--database", str(self._database)),
            *("--isolation", "process", "--superexec-auth-secret-file", str(self.executor_secret)),
        )
        return Command(arguments, {**self.quiet, "FLWR_HOME": str(home)}, cwd=home)

    def is_ready(self) -> bool:
        """Whether its health page answers under our certificate."""
        return answers(f"{self.url}/health", authority=self.authority)

    def operator(self, *arguments: str) -> Command:
        """A ``flwr`` command as the operator gives it."""
        environment = {**self.quiet, "FLWR_HOME": str(self.operator_home)}
        return Command((str(PROGRAMS / "flwr"), *arguments), environment, cwd=self.operator_home)

    @property
    def flower(self) -> Flower:
        """The operator's Flower commands whose answers are needed."""
        return Flower(self.operator_home, CONNECTION)

    @property
    def _database(self) -> Path:
        return self.state.folder("superlink") / "state.db"

    @property
    def _tls(self) -> Path:
        return self.state.root / "tls"


def certificates(state: StateFolder) -> ServerCertificate:
    """The authority and the SuperLink's certificate, made where there is none."""
    folder = state.folder("tls")
    # One that an older release made was open to the machine's users, though not its keys.
    folder.chmod(PRIVATE)
    return server_certificate(folder, ["localhost", LOOPBACK])
