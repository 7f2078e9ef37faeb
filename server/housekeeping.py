"""Removes what nobody will ask for again. Done twice, it removes nothing more; what is live is never touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.index import IndexStore
from catalog.objects import ObjectStore, delete_all
from core.settings import Settings
from server.checkpoints import RunFolder
from server.failures import drop_failures
from server.stores import open_stores


def clean_up(settings: Settings, *, keep_runs: int, keep_days: int) -> dict[str, Any]:
    """Remove old checkpoints, index versions and failures.

    Args:
        settings: where they are.
        keep_runs: of so many finished runs every checkpoint stays, the latest ones.
        keep_days: how long what is over stays besides.

    Returns:
        ``runs_trimmed``, ``runs_removed``, ``index_versions`` (ids) and ``failures``: what was removed.

    Raises:
        StorageUnreachable, DatabaseUnreachable: what does not answer.
    """
    before = datetime.now(UTC) - timedelta(days=keep_days)
    stores = open_stores(settings)
    trimmed, removed = clean_checkpoints(stores.checkpoints, keep_runs=keep_runs, before=before)
    with IndexStore(settings.required("postgres_dsn")) as index:
        versions = index.drop_outdated(before)
    failures = drop_failures(stores.data, before=before)
    return {"runs_trimmed": trimmed, "runs_removed": removed, "index_versions": versions, "failures": failures}


def clean_checkpoints(store: ObjectStore, *, keep_runs: int, before: datetime) -> tuple[list[str], list[str]]:
    """Trim finished runs but the last ``keep_runs``, and remove those that broke off and were not touched since.

    A finished run is never continued, but it is asked for its result, and another run may start from its chosen state:
    both stay for ever.

    Returns:
        Names of the runs that lost checkpoints, and of those that are gone.
    """
    folders = [RunFolder(store, name) for name in sorted({key.split("/")[0] for key in store.list("")})]
    results = {folder.name: folder.result() or {} for folder in folders}
    touched = {folder.name: str((folder.status() or {}).get("at", "")) for folder in folders}
    finished = [folder for folder in folders if "chosen_round" in results[folder.name]]
    finished.sort(key=lambda folder: touched[folder.name], reverse=True)
    trimmed = [f.name for f in finished[keep_runs:] if f.trim(int(results[f.name]["chosen_round"]))]
    # A run without a status was begun this very moment, or is none of ours.
    # A wave keeps nothing: whoever started it removes its folder, unless it died.
    unfinished = [f.name for f in folders if "chosen_round" not in results[f.name]]
    lost = [name for name in unfinished if touched[name] and _is_before(touched[name], before)]
    for name in lost:
        delete_all(store, f"{name}/")
    return trimmed, lost


def _is_before(at: str, moment: datetime) -> bool:
    return datetime.fromisoformat(at) < moment
