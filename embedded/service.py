"""What the stack needs to know of a service to start it, to watch it and to end it."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import socket
import ssl
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from embedded.errors import PreparationFailed
from embedded.ports import LOOPBACK
from embedded.process import Command, last_lines, run_to_end
from embedded.state import StateFolder

PROBE_S = 2.0
REPOSITORY = Path(__file__).parents[1]


class Service(Protocol):
    """One real service. Its methods are called from a thread of its own, in the order in which they stand here."""

    @property
    def name(self) -> str:
        """The name that people read: "PostgreSQL"."""

    @property
    def slug(self) -> str:
        """The name of its log file, and the one that others name it by in ``needs``."""

    @property
    def url(self) -> str:
        """Where it answers, without secrets."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Slugs of what must be ready before this one is prepared."""

    @property
    def deadline_s(self) -> float:
        """How long it may take from its start to its first answer."""

    @property
    def stop_signal(self) -> signal.Signals:
        """What makes it end in good order."""

    @property
    def stop_within_s(self) -> float:
        """How long it may take to end before it is killed."""

    def prepare(self, steps: Steps) -> None:
        """What must happen before the process starts: files, migrations, registrations."""

    def command(self) -> Command:
        """The process."""

    def is_ready(self) -> bool:
        """Whether it answers now; quick, and False rather than an error when it does not."""

    def finish(self, steps: Steps) -> None:
        """What must happen after it answers and before others use it."""


@dataclass(frozen=True)
class ServiceDefaults:
    """What most services have in common."""

    needs: tuple[str, ...] = ()
    deadline_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 5.0

    def prepare(self, steps: Steps) -> None:
        """Nothing."""

    def finish(self, steps: Steps) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Steps:
    """Runs the short programs that a service needs around its start, and keeps their output in the service's log."""

    state: StateFolder
    slug: str
    cancel: threading.Event = field(default_factory=threading.Event)
    """When set, programs that run are killed."""

    @property
    def log(self) -> Path:
        """The service's log file."""
        return self.state.logs / f"{self.slug}.log"

    def run(self, what: str, command: Command, *, stdin: str = "", within_s: float = 120.0) -> None:
        """Run a program to its end.

        Raises:
            PreparationFailed: it did not succeed; names ``what`` and shows the log's end.
        """
        how = run_to_end(
            command,
            stack_id=self.state.stack_id,
            service=self.slug,
            log=self.log,
            stdin=stdin,
            within_s=within_s,
            cancel=self.cancel,
        )
        if how is not None:
            raise PreparationFailed(what, how=how, log=self.log, lines=last_lines(self.log))


def listens(port: int) -> bool:
    """Whether something takes connections on a port of the loopback interface."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=PROBE_S).close()
    except OSError:
        return False
    return True


def answers(
    url: str, *, authority: Path | None = None, login: tuple[str, str] | None = None, within_s: float = PROBE_S
) -> bool:
    """Whether an HTTP server answers at ``url`` with anything but a fault of its own.

    Args:
        url: of the loopback interface.
        authority: PEM file of the certificate authority to trust, for https.
        login: user and password, for a server that asks for them (HTTP Basic).
        within_s: how long to wait for the answer.
    """
    request = urllib.request.Request(url)  # noqa: S310 - the loopback interface
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    try:
        with _opener(authority).open(request, timeout=within_s):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code < 500
    except (OSError, http.client.HTTPException):
        return False


def fetch_json(url: str) -> dict[str, Any] | None:
    """The JSON object at ``url``; None when nothing, or something else, is there."""
    try:
        with _opener(None).open(url, timeout=PROBE_S) as response:
            found = json.load(response)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _opener(authority: Path | None) -> urllib.request.OpenerDirector:
    # A proxy of the machine must not stand between the services.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))))
    return urllib.request.build_opener(*handlers)
