"""What goes into the audit log that PostgreSQL cannot see: clients that come and go, and updates that were refused."""

from __future__ import annotations

from typing import Any

from catalog.audit_log import AuditLog, Kind
from core.settings import Settings


def note_refusals(settings: Settings, result: dict[str, Any]) -> None:
    """Write down which client's update was refused in which round of a completed run, and why, once for each run.

    A simulation has no database, and is nobody's concern.
    """
    if not settings.postgres_dsn:
        return
    run = result["run_id"]
    refused = [
        (client, {"run": run, "round": entry["round"], "reason": reason})
        for entry in result["rounds"]
        for client, _, reason in (text.partition(": ") for text in entry["rejections"])
    ]
    if refused:
        with AuditLog(settings.required("postgres_dsn")) as log:
            log.append_once("update_refused", refused, unless={"run": run})


def note_client(settings: Settings, kind: Kind, client: str, *, actor: str, **details: object) -> None:
    """Write down what became of a client, unless just that stands there already; a removal is written each time."""
    entry = {"client": client, **details}
    with AuditLog(settings.required("postgres_dsn")) as log:
        if kind == "client_removed":
            log.append(kind, actor, **entry)
        else:
            log.append_once(kind, [(actor, entry)], unless=entry)
