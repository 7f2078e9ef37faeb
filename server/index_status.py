"""What the index versions are, for people and programs; without what it takes to build one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from catalog.index import IndexStore, IndexVersion
from core.settings import Settings


def index_status(settings: Settings) -> dict[str, Any]:
    """All index versions, newest first, and which is live."""
    with IndexStore(settings.required("postgres_dsn")) as index:
        live = index.live()
        versions = [fields_of(version) for version in index.versions()]
    return {"live": live.id if live else None, "versions": versions}


def fields_of(version: IndexVersion) -> dict[str, Any]:
    """The report's names first, then the rest, times as ISO 8601."""
    fields = asdict(version)
    times = {name: value.isoformat() for name in ("created_at", "live_at") if (value := fields[name]) is not None}
    return {"version": fields.pop("id"), **fields, **times}
