"""Put an earlier champion back, and its index with it, in less than a second. Nothing here loads a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from catalog.audit import AuditTrail
from catalog.database import Database
from catalog.errors import IndexVersionMissing
from catalog.index import IndexStore, IndexVersion
from catalog.manifest import live_manifest
from core.errors import TejidoError
from core.settings import Settings
from server.audit import Trail, actor_of, audited
from server.errors import RollbackRefused
from server.index_notice import announce_index
from server.stores import open_stores
from server.tracking import CHAMPION, PREVIOUS, ModelVersion, Tracker


class Aliases(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def require(self, alias_or_version: str) -> ModelVersion:
        """A version."""

    def set_alias(self, alias: str, version: str) -> None:
        """Move an alias."""


class Index(Protocol):
    """What is needed of `catalog.index.IndexStore`."""

    def live(self) -> IndexVersion | None:
        """The version that answers queries."""

    def versions(self) -> list[IndexVersion]:
        """All versions, newest first."""

    def swap(self, version: int) -> IndexVersion:
        """Make a version the live one, in one transaction."""


@dataclass(frozen=True)
class IndexAfter:
    """What answers searches after a rollback; index and query encoder always are of one model version."""

    state: Literal["live already", "made live again", "behind", "none"]
    version: int | None
    model_version: str | None

    def __str__(self) -> str:
        if self.state == "none":
            return "No index is live: run `tejido index build`."
        if self.state == "behind":
            return (
                f"Searches are still answered by index {self.version} of model version {self.model_version}: the "
                "champion has no index of the live catalogue any more. Run `tejido index build`."
            )
        return f"Searches are answered by index {self.version} of model version {self.model_version}."


def rollback(settings: Settings, *, reason: str, to: str | None = None) -> dict[str, Any]:
    """Make an earlier champion the champion again, and the present one ``previous``.

    Args:
        settings: where MLflow, the catalogue and the database are.
        reason: why; it is written down.
        to: a version that was champion before; by default the one before the present one.

    Returns:
        ``version``, ``alias``, ``was``, ``reason``, ``actor``, ``index`` (its ``state``, ``version``, ``model_version``
        and ``message``) and ``seconds``.

    Raises:
        ModelMissing: there is no such version, or no champion.
        RollbackRefused: the version is the champion, or never was.
        DatabaseUnreachable: it could not be written down, so it was not done.
    """
    began = time.monotonic()
    tracker, actor = Tracker.of(settings), actor_of(settings)
    # The object store is asked meanwhile: a client of it takes a third of the second that this may last.
    with ThreadPoolExecutor(1) as asked, Database(settings.required("postgres_dsn")) as database:
        catalogue = asked.submit(_live_catalogue, settings)
        champion, target = go_back(tracker, AuditTrail(database), actor=actor, reason=reason, to=to or PREVIOUS)
        after = follow(IndexStore(database), target, catalogue.result())
        if after.state == "made live again" and after.version is not None:
            announce_index(settings, after.version)
    return {
        "version": target.version,
        "alias": CHAMPION,
        "was": champion.version,
        "reason": reason,
        "actor": actor,
        "index": {
            "state": after.state,
            "version": after.version,
            "model_version": after.model_version,
            "message": str(after),
        },
        "seconds": round(time.monotonic() - began, 3),
    }


def go_back(tracker: Aliases, trail: Trail, *, actor: str, reason: str, to: str) -> tuple[ModelVersion, ModelVersion]:
    """Move the aliases; returns the champion until now, and the one from now on."""
    champion, target = tracker.require(CHAMPION), tracker.require(to)
    if target.version == champion.version:
        raise RollbackRefused(
            f"Version {target.version} is the champion already.", hint="`tejido model history` lists earlier ones."
        )
    if not trail.was_champion(target.name, target.version) and target.tags.get("promoted") != "true":
        raise RollbackRefused(
            f"Version {target.version} never was the champion, and a rollback is no way around the promotion's test.",
            hint=f"`tejido model promote {target.version}` looks whether it has earned it.",
        )
    versions = {"from_version": champion.version, "to_version": target.version}
    with audited(trail, "rolled_back", actor=actor, reason=reason, **versions):
        # In this order: whoever is interrupted in between has rolled back, and nothing else.
        tracker.set_alias(CHAMPION, target.version)
        tracker.set_alias(PREVIOUS, champion.version)
    return champion, target


def follow(index: Index, model: ModelVersion, catalogue_version: str | None) -> IndexAfter:
    """Make the index that ``model`` built of the live catalogue live again, if it is still there."""
    live = index.live()
    if live and _is_of(live, model, catalogue_version):
        return IndexAfter("live already", live.id, live.model_version)
    for version in _retired(index.versions()):
        if _is_of(version, model, catalogue_version):
            try:
                found = index.swap(version.id)
            except IndexVersionMissing:
                break  # A build has dropped it meanwhile.
            return IndexAfter("made live again", found.id, found.model_version)
    return IndexAfter("behind", live.id, live.model_version) if live else IndexAfter("none", None, None)


def _retired(versions: Sequence[IndexVersion]) -> list[IndexVersion]:
    return [version for version in versions if version.state == "retired"]


def _is_of(index: IndexVersion, model: ModelVersion, catalogue_version: str | None) -> bool:
    wanted = (model.name, model.version, model.content_hash, catalogue_version)
    return (index.model_name, index.model_version, index.model_hash, index.catalogue_version) == wanted


def _live_catalogue(settings: Settings) -> str | None:
    """None when it cannot be told: the aliases go back all the same, and the index stays as it is."""
    try:
        return live_manifest(open_stores(settings).data).version
    except TejidoError:
        return None
