"""A Flower SuperNode: the client's end of the line to the SuperLink. It knows no bucket; see clientapps.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.files import write_atomically
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, Steps, answers
from embedded.state import StateFolder
from embedded.superlink import PROGRAMS, SuperLink
from security.node_keys import NodeKey, node_key


@dataclass(frozen=True, kw_only=True)
class SuperNode(ServiceDefaults):
    """The SuperNode of one client; its port serves that client's ClientApps only, which prove it by a shared secret."""

    state: StateFolder
    port: Port
    client: str
    superlink: SuperLink
    needs: tuple[str, ...] = ("superlink",)
    deadline_s: float = 90.0

    @property
    def name(self) -> str:
        """With its client."""
        return f"Flower SuperNode of {self.client}"

    @property
    def slug(self) -> str:
        """With its client."""
        return f"supernode-{self.client}"

    @property
    def url(self) -> str:
        """Of the interface to its own ClientApps."""
        return f"http://{LOOPBACK}:{self.port.number}"

    def prepare(self, steps: Steps) -> None:  # noqa: ARG002 - every service is prepared alike
        """Make the node's public key known to the SuperLink."""
        admit(self.superlink, self.client)

    def command(self) -> Command:
        """The SuperNode in the foreground, with nothing of the platform's in its environment."""
        arguments = (
            *(str(PROGRAMS / "flower-supernode"), "--superlink", self.superlink.address),
            *("--root-certificates", str(self.superlink.authority)),
            *("--auth-supernode-private-key", str(self._key().private)),
            *("--host", LOOPBACK, "--port", str(self.port.number)),
            *("--isolation", "process", "--superexec-auth-secret-file", str(self.executor_secret)),
        )
        return Command(arguments, {**self.superlink.quiet, "FLWR_HOME": str(self._home)}, cwd=self._home)

    def is_ready(self) -> bool:
        """Whether its own interface answers."""
        return answers(f"{self.url}/health")

    @property
    def executor_secret(self) -> Path:
        """The file by which its ClientApps are known; made when it is first asked for."""
        return self.state.secret_file(f"superexec-{self.client}")

    @property
    def _home(self) -> Path:
        return self.state.folder("supernodes", self.client)

    def _key(self) -> NodeKey:
        return key_of(self.state, self.client)


def key_of(state: StateFolder, client: str) -> NodeKey:
    """The key of a client's node, made the first time."""
    return node_key(state.folder("secrets", "nodes"), client)


def admit(superlink: SuperLink, client: str) -> None:
    """Register a node's public key unless the SuperLink has it already; a key that it replaces is retired."""
    key, known = key_of(superlink.state, client), _registered(superlink.state, client)
    if known.exists() and known.read_text().strip() == key.public_text:
        return
    superlink.flower.register(key.public, client)
    if known.exists():
        superlink.flower.retire(client, keep=key.public_pem)
    write_atomically(known, key.public_text.encode())


def retire(superlink: SuperLink, client: str) -> None:
    """Unregister every key of a client's node; none of them is accepted again. Costs nothing where none is."""
    known = _registered(superlink.state, client)
    if known.exists():
        superlink.flower.retire(client)
        known.unlink()


def _registered(state: StateFolder, client: str) -> Path:
    """The public key under which the SuperLink knows the client; there is no file where it knows none."""
    return state.root / "supernodes" / client / "registered.pub"
