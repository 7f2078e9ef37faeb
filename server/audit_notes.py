"""What goes into the audit log that PostgreSQL cannot see: clients that come and go, and updates that were refused."""

from __future__ import annotations

from typing import Any

from catalog.audit_log import AuditLog, Kind
from core.settings import Settings


def note_refusals(settings: Settings, result: dict[str, Any]) -> None:
    """Write down which client's update was refused in which round of a completed run, and why.

    A simulation has no database and is nobody's concern; a run whose refusals stand there already is left alone.
    """
    if not settings.postgres_dsn:
        return
    refused = [
        {"run": result["run_id"], "round": entry["round"], "client": client, "reason": reason}
        for entry in result["rounds"]
        for client, _, reason in (text.partition(": ") for text in entry["rejections"])
    ]
    if not refused:
        return
    with AuditLog(settings.required("postgres_dsn")) as log:
        if not log.has("update_refused", run=result["run_id"]):
            for one in refused:
                log.append("update_refused", str(one.pop("client")), **one)


def note_client(settings: Settings, kind: Kind, client: str, *, actor: str, **details: object) -> None:
    """Write into the audit log what became of a client, unless just that stands there already."""
    with AuditLog(settings.required("postgres_dsn")) as log:
        if kind == "client_removed" or not log.has(kind, client=client, **details):
            log.append(kind, actor, client=client, **details)
