"""Which clients a state folder was told of by `tejido client`: one small file each, written before anything is done.

The stack that runs over the folder looks at them once a second and does what they say; the next one that starts does so
at its start. Clients that `tejido up` was simply given have no file until something is said of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from catalog.audit_log import Kind
from core.files import write_secret
from core.limits import NO_LIMIT
from core.names import checked_client_name, client_bucket_name
from core.settings import Settings
from embedded.errors import EnrolmentUnreadable
from embedded.state import StateFolder
from server.audit import actor_of


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """One client, and what it may."""

    name: str
    bucket: str
    """The only one that it may use."""
    max_examples: int | None = None
    """Products that it may train on; None: as many as its partition holds."""
    is_elsewhere: bool = False
    """Whether its SuperNode and ClientApps run where its folder was copied to, and not in the stack."""
    is_removed: bool = False
    is_cleared: bool = False
    """Whether a removal was carried to its end, and nothing of the client was found any more."""
    revision: int = 1
    """One more whenever its services must start anew: with other keys, or after it was away."""
    since: str = ""
    """ISO 8601, in UTC."""
    actor: str = ""
    """Who said so, for the audit log."""

    is_new: bool = True
    """Whether it was added, and not changed since."""

    @classmethod
    def of(cls, name: str, *, is_elsewhere: bool = False) -> Enrolment:
        """A new one."""
        return cls(
            name=checked_client_name(name),
            bucket=client_bucket_name(name),
            is_elsewhere=is_elsewhere,
            actor=actor_of(Settings(_env_file=None)),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )


class Enrolments:
    """The files of one state folder."""

    def __init__(self, state: StateFolder) -> None:
        self._folder = state.folder("enrolments")

    def all(self) -> dict[str, Enrolment]:
        """Each by its name, sorted.

        Raises:
            EnrolmentUnreadable: one is damaged; nobody is added or removed by a guess.
        """
        return {path.stem: _read(path) for path in sorted(self._folder.glob("*.json"))}

    def get(self, name: str) -> Enrolment | None:
        """One of them."""
        path = self._path(name)
        return _read(path) if path.exists() else None

    def put(self, enrolment: Enrolment) -> None:
        """Write one down."""
        write_secret(self._path(enrolment.name), json.dumps(asdict(enrolment), indent=2).encode())

    def clients(self, given: Sequence[str]) -> tuple[str, ...]:
        """Who takes part: those that a stack was given and those that were added, but for those that were removed."""
        known = self.all()
        added = [name for name, found in known.items() if name not in given]
        return tuple(name for name in (*given, *added) if name not in known or not known[name].is_removed)

    def _path(self, name: str) -> Path:
        return self._folder / f"{checked_client_name(name)}.json"


def _read(path: Path) -> Enrolment:
    try:
        found = Enrolment(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise EnrolmentUnreadable(path, why=str(error)) from error
    if found.name != path.stem:
        raise EnrolmentUnreadable(path, why=f"it is about {found.name}")
    return found


def write_down(settings: Settings, enrolment: Enrolment) -> None:
    """Tell the platform who takes part, and with how much, or no more; and the audit log what became of it."""
    from server.audit_notes import note_client
    from server.membership import admit, bar

    if enrolment.is_removed:
        bar(settings, enrolment.name)
        return
    # Where the file says nothing of a limit, there is none.
    admit(settings, enrolment.name, limit=enrolment.max_examples or NO_LIMIT)
    kind: Kind = "client_added" if enrolment.is_new else "client_changed"
    details = {"revision": enrolment.revision, "since": enrolment.since, "max_examples": enrolment.max_examples}
    note_client(settings, kind, enrolment.name, actor=enrolment.actor, **details)
