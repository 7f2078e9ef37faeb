"""Refused updates go into the audit log, once for each run, by whoever waits for its result."""

from __future__ import annotations

from typing import Any

from catalog.audit_log import AuditLog
from core.settings import Settings


def note_refusals(settings: Settings, result: dict[str, Any]) -> None:
    """Write down which client's update was refused in which round of a completed run, and why.

    A simulation has no database and is nobody's concern; a run whose refusals stand there already is left alone.
    """
    refused = [
        {"run": result["run_id"], "round": entry["round"], "client": client, "reason": reason}
        for entry in result["rounds"]
        for client, _, reason in (text.partition(": ") for text in entry.get("rejections", []))
    ]
    if not refused or not settings.postgres_dsn:
        return
    with AuditLog(settings.required("postgres_dsn")) as log:
        if not log.has("update_refused", run=result["run_id"]):
            for one in refused:
                log.append("update_refused", str(one.pop("client")), **one)
