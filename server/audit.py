"""Who did what to the champion, and why: written down before it is done, so that nothing is done unseen."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from typing import Any, Protocol

import structlog

from catalog.audit import Action, AuditTrail, ModelChange
from catalog.errors import CatalogError
from core.settings import Settings
from server.tracking.names import MODEL

log = structlog.get_logger(__name__)


class Trail(Protocol):
    """What is needed of `catalog.audit.AuditTrail`."""

    def record(
        self, action: Action, *, actor: str, model_name: str, from_version: str | None, to_version: str, reason: str
    ) -> None:
        """Add a row."""

    def was_champion(self, model_name: str, version: str) -> bool:
        """Whether a version was the champion at any time."""


def open_trail(settings: Settings) -> AuditTrail:
    """The trail of this process's settings; close it afterwards."""
    return AuditTrail(settings.required("postgres_dsn"))


def actor_of(settings: Settings) -> str:
    """Who works in this process: ``TEJIDO_ACTOR``, or the user and the machine, and the pipeline's run if it is one."""
    if settings.actor:
        return settings.actor
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # A container may run as a number that has no name.
        user = "unknown"
    run = f", {settings.progress_key.rpartition(':')[2]}" if settings.progress_key else ""
    return f"{user}@{socket.gethostname()}{run}"


@contextmanager
def audited(
    trail: Trail, action: Action, *, actor: str, from_version: str | None, to_version: str, reason: str
) -> Iterator[None]:
    """Write down what the block is about to do; and, where the block fails, that it was not done."""

    def record(action: Action, reason: str) -> None:
        trail.record(
            action, actor=actor, model_name=MODEL, from_version=from_version, to_version=to_version, reason=reason
        )

    record(action, reason)
    try:
        yield
    except BaseException as error:
        try:
            record("failed", f"{action} failed: {error or type(error).__name__}")
        except CatalogError as second:
            log.error("a failed change stands in the trail as done", action=action, error=str(second))
        raise


def history(settings: Settings, *, limit: int = 50) -> dict[str, Any]:
    """The last changes, newest first."""
    with open_trail(settings) as trail:
        return {"changes": [_fields(change) for change in trail.changes(MODEL, limit=limit)]}


def _fields(change: ModelChange) -> dict[str, Any]:
    return {**asdict(change), "at": change.at.astimezone(UTC).isoformat(timespec="seconds")}
