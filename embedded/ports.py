"""Which port each service gets: the usual one, or the next that is free, and the same again at the next start."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from core.files import write_atomically
from embedded.errors import NoFreePort

LOOPBACK = "127.0.0.1"
TRIED = 200


@dataclass(frozen=True)
class Port:
    """The port of one service on the loopback interface."""

    service: str
    number: int
    preferred: int

    @property
    def notice(self) -> str | None:
        """What to tell a person who expects the usual port; None when it is the usual one."""
        if self.number == self.preferred:
            return None
        return f"port {self.preferred} is taken, {self.service} is at {self.number}"


class Ports:
    """The ports of one stack, remembered in ``path``.

    A number is held from the moment it is given until ``release``: the service that will listen on it starts seconds
    later, and a second stack that starts meanwhile must not be given the same one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._remembered: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        self._held: dict[int, socket.socket] = {}

    def take(self, service: str, preferred: int) -> Port:
        """A free port for ``service``.

        Raises:
            NoFreePort: none of the ports from ``preferred`` on is free.
        """
        candidates = [self._remembered.get(service, preferred), *range(preferred, preferred + TRIED)]
        for number in candidates:
            if number not in self._held and is_free(number) and self._hold(number):
                self._remembered[service] = number
                return Port(service, number, preferred)
        raise NoFreePort(service, first=preferred, last=preferred + TRIED - 1)

    def save(self) -> None:
        """Remember the ports for the next start."""
        write_atomically(self._path, json.dumps(self._remembered, indent=2).encode())

    def release(self) -> None:
        """Let other stacks of this machine have the numbers again."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    def _hold(self, number: int) -> bool:
        claim = _claim(number)
        if claim is None:
            return False
        self._held[number] = claim
        return True


def is_free(number: int) -> bool:
    """Whether nobody listens on the port; connections that are only closing do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
    return True


def _claim(number: int) -> socket.socket | None:
    """Claim a port number among the stacks of this machine; None when another stack has it.

    An abstract Unix socket (Linux) is a name that the kernel keeps as long as the process lives, and leaves no file.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0tejido-port-{number}")
    except OSError:
        claim.close()
        return None
    return claim
