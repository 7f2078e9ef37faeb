"""Where clients on other machines reach the SuperLink: its Fleet API, and nothing else; see gate_app.py."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass

from embedded.ports import Port
from embedded.process import Command
from embedded.service import PROBE_S, ServiceDefaults, Steps
from embedded.state import StateFolder
from embedded.superlink import SuperLink
from security.certificates import ServerCertificate, server_certificate


@dataclass(frozen=True, kw_only=True)
class Gate(ServiceDefaults):
    """One listener on an address that clients reach; the SuperLink itself stays on the loopback interface."""

    state: StateFolder
    host: str
    """The address, as clients name it."""
    port: Port
    superlink: SuperLink
    name: str = "Gate"
    slug: str = "gate"
    needs: tuple[str, ...] = ("superlink",)

    @property
    def url(self) -> str:
        """Where clients elsewhere find the Fleet API."""
        return f"https://{self.host}:{self.port.number}"

    def prepare(self, steps: Steps) -> None:  # noqa: ARG002 - every service is prepared alike
        """Make the certificate for this address, by the authority that clients trust."""
        self._certificate()

    def command(self) -> Command:
        """The gate in the foreground."""
        paths = self._certificate()
        arguments = (
            *(sys.executable, "-m", "uvicorn", "embedded.gate_app:create_app", "--factory"),
            *("--host", self.host, "--port", str(self.port.number)),
            *("--ssl-certfile", str(paths.certificate), "--ssl-keyfile", str(paths.key)),
            *("--log-level", "warning", "--no-access-log", "--no-server-header"),
        )
        environment = {
            "TEJIDO_GATE_SUPERLINK": self.superlink.url,
            "TEJIDO_GATE_AUTHORITY": str(self.superlink.authority),
        }
        return Command(arguments, environment, cwd=self.state.root)

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection((self.host, self.port.number), timeout=PROBE_S).close()
        except OSError:
            return False
        return True

    def _certificate(self) -> ServerCertificate:
        return server_certificate(self.state.folder("tls", "gate"), [self.host], signed_by=self.state.root / "tls")
