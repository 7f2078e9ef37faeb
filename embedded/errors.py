"""What can go wrong with the embedded services.

EmbeddedError
├── ServiceCrashed         a service ended by itself; carries the last lines of its log
├── ServiceNotReady        a service lives but does not answer in time
├── PreparationFailed      a step before a service (initdb, migration, registration) failed
├── StackLocked            another process uses the state folder
├── StateFolderUnusable    the state folder cannot be made or written
├── NoFreePort             no port near the preferred one is free
├── ClientsInvalid         no client, or a client twice
├── EnrolmentUnreadable    what a state folder was told of a client cannot be read
├── EnrolmentFailed        the running stack could not add, remove or rekey a client
├── ClientNotEnrolled      a command is about a client that the state folder does not know
├── SystemUserMissing      PostgreSQL needs a user of its own and none can be made
└── AirflowMissing         Airflow's own environment is not set up
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import TejidoError


class EmbeddedError(TejidoError):
    """An embedded service cannot be started or does not run any more."""

    code = "embedded.error"


def _with_log(message: str, lines: Sequence[str]) -> str:
    if not lines:
        return f"{message} Its log is empty."
    return "\n".join([f"{message} The last lines of its log:", *(f"    {line}" for line in lines)])


class ServiceCrashed(EmbeddedError):
    """A service ended by itself."""

    code = "embedded.service_crashed"

    def __init__(self, service: str, *, how: str, log: Path, lines: Sequence[str]) -> None:
        super().__init__(
            _with_log(f"{service} {how}.", lines),
            hint=f"The whole log is {log}. State is kept: start again, and it goes on from there.",
        )
        self.service = service
        self.log_lines = tuple(lines)


class ServiceNotReady(EmbeddedError):
    """A service lives but does not answer in time."""

    code = "embedded.service_not_ready"

    def __init__(self, service: str, *, url: str, deadline_s: float, log: Path, lines: Sequence[str]) -> None:
        super().__init__(
            _with_log(f"{service} at {url} does not answer after {deadline_s:.0f} s.", lines),
            hint=f"The whole log is {log}. A busy machine may need a second start.",
        )
        self.service = service


class PreparationFailed(EmbeddedError):
    """A step before a service failed."""

    code = "embedded.preparation_failed"

    def __init__(self, what: str, *, how: str, log: Path, lines: Sequence[str]) -> None:
        super().__init__(_with_log(f"{what} {how}.", lines), hint=f"The whole log is {log}.")


class StackLocked(EmbeddedError):
    """Another process uses the state folder."""

    code = "embedded.stack_locked"

    def __init__(self, folder: Path, *, holder: str) -> None:
        super().__init__(
            f"The state folder {folder} is in use by process {holder}.",
            hint="Stop that one with Ctrl-C, or use another folder with --state DIR.",
        )


class StateFolderUnusable(EmbeddedError):
    """The state folder cannot be made or written."""

    code = "embedded.state_folder_unusable"


class NoFreePort(EmbeddedError):
    """No port near the preferred one is free."""

    code = "embedded.no_free_port"

    def __init__(self, service: str, *, first: int, last: int) -> None:
        super().__init__(
            f"No port from {first} to {last} is free for {service}.",
            hint="Stop what uses them; `ss -ltnp` shows it.",
        )


class ClientsInvalid(EmbeddedError):
    """No client, a client twice, or a name that cannot be a bucket."""

    code = "embedded.clients_invalid"


class EnrolmentUnreadable(EmbeddedError):
    """What a state folder was told of a client cannot be read."""

    code = "embedded.enrolment_unreadable"

    def __init__(self, path: Path, *, why: str) -> None:
        super().__init__(
            f"{path} cannot be read: {why}.", hint="Delete it and say it again: `tejido client add` or `remove`."
        )


class EnrolmentFailed(EmbeddedError):
    """The running stack could not do what it was told of a client."""

    code = "embedded.enrolment_failed"


class ClientNotEnrolled(EmbeddedError):
    """There is no such client in this state folder."""

    code = "embedded.client_not_enrolled"


class RemovalUnfinished(EmbeddedError):
    """A client shall come back whose removal was broken off."""

    code = "embedded.removal_unfinished"


class SystemUserMissing(EmbeddedError):
    """The stack runs as root, PostgreSQL refuses to, and no user can be made for it."""

    code = "embedded.system_user_missing"

    def __init__(self, user: str, *, reason: str) -> None:
        super().__init__(
            f"PostgreSQL does not run as root, and the user {user} cannot be made: {reason}.",
            hint=f"Run as an ordinary user, or make that user: useradd --system {user}.",
        )


class AirflowMissing(EmbeddedError):
    """Airflow's own environment is not set up."""

    code = "embedded.airflow_missing"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Airflow's environment is not at {folder}.",
            hint="Run `make setup`, or name its folder in TEJIDO_AIRFLOW_HOME_VENV.",
        )
