"""A client leaves: what the platform has of it is removed, and then looked for, line by line, where it would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError
from catalog.index import IndexStore
from catalog.leaving import Held, Leaving
from catalog.manifest import published_manifest
from catalog.objects import S3ObjectStore, delete_all
from catalog.pictures import OWN
from core.settings import Bucket, Settings
from server.audit import actor_of
from server.audit_notes import note_client
from server.client_list import leave_out, lists_of, of_client
from server.enrolments import limits
from server.flower import UNREGISTERED, Flower
from server.index_notice import announce_index
from server.membership import bar
from server.stores import open_stores
from server.wave_folder import pages_of

ACCESS = "storage access"


@dataclass(frozen=True)
class Evidence:
    """One thing that was looked for after the deed."""

    what: str
    where: str
    """What was asked."""
    found: str
    is_gone: bool
    is_kept: bool = False
    """Whether it is meant to stay; then `found` says whose it is."""


@dataclass(frozen=True)
class Left:
    """That a client is gone, and what of it is not."""

    client: str
    evidence: tuple[Evidence, ...]
    """Each line was looked up after the deed."""
    models: tuple[dict[str, Any], ...] | None
    """Model versions that it took part in; None: there is no MLflow to ask."""

    @property
    def is_proved(self) -> bool:
        """Whether nothing is left but what is meant to stay."""
        return all(line.is_gone or line.is_kept for line in self.evidence)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "client": self.client,
            "proved": self.is_proved,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "evidence": [asdict(line) for line in self.evidence],
            "models": None if self.models is None else list(self.models),
        }


def forget_client(settings: Settings, name: str) -> Held:
    """Remove a client from everything that the platform has; returns what the database had. Safe to run again.

    Raises:
        SuperLinkUnreachable: it did not answer; the node's key is the first thing to go, once nothing is let in.
        CatalogError: the database or the object store did not answer.
    """
    # Before anything of its is removed: a wave that is under way would bring it back.
    bar(settings, name)
    Flower.of(settings).retire(name)
    store = open_stores(settings).data
    for path in lists_of(settings):
        leave_out(path, name)
    with Leaving(settings.required("postgres_dsn")) as leaving:
        before = leaving.forget(name, actor=actor_of(settings))
    delete_all(store, f"{OWN}{name}/")
    checkpoints = open_stores(settings).checkpoints
    for key in pages_of(checkpoints, name):
        checkpoints.delete(key)
    note_client(settings, "client_removed", name, actor=actor_of(settings), products=before.products)
    with IndexStore(settings.required("postgres_dsn")) as index:
        if (live := index.live()) is not None:
            announce_index(settings, live.id)
    return before


def look_for(settings: Settings, name: str, before: Held, keys: Bucket | None) -> list[Evidence]:
    """What is left of a client on the platform; every line is asked for now.

    Args:
        settings: of the platform.
        name: of the client.
        before: what the database had.
        keys: its bucket with the keys that opened it, where they were known.
    """
    return [
        *_of_the_federation(settings, name, keys),
        *_of_the_database(settings, name, before),
        *_kept(settings, name),
    ]


def files_left(what: str, *paths: Path) -> Evidence:
    """Whether files, or folders with anything in them, are gone."""
    left = [path for path in paths if path.exists()]
    where = ", ".join(path.name for path in paths)
    return Evidence(what, f"files: {where}", ", ".join(map(str, left)) or "none", not left)


def _of_the_federation(settings: Settings, name: str, keys: Bucket | None) -> Iterator[Evidence]:
    nodes = [node for node in Flower.of(settings).named_nodes() if node.name == name]
    admitted = [node.node_id for node in nodes if node.status != UNREGISTERED]
    told = f"{len(admitted)} of {len(nodes)} that were registered"
    yield Evidence("node keys", "the SuperLink's list of nodes", told, not admitted)
    if keys is not None:
        yield _access(keys)
    for path in lists_of(settings):
        listed = of_client(path, name)
        yield Evidence("platform's keys of its bucket", path.name, f"{len(listed)} entries", not listed)
    enrolled = limits(open_stores(settings).data)
    yield Evidence("enrolment", "s3://data/enrolments", "there" if name in enrolled else "none", name not in enrolled)


def _access(keys: Bucket) -> Evidence:
    try:
        found = sum(1 for _ in S3ObjectStore(keys).list(""))
    except CatalogError as error:
        return Evidence(ACCESS, f"{keys.endpoint} with the former keys", error.code, is_gone=True)
    told = f"{found:,} objects can be listed"
    return Evidence(ACCESS, f"{keys.endpoint} with the former keys", told, is_gone=False)


def _of_the_database(settings: Settings, name: str, before: Held) -> Iterator[Evidence]:
    with Leaving(settings.required("postgres_dsn")) as leaving:
        now, sessions = leaving.held(name), leaving.living_sessions(before.curators)
    yield Evidence("rows", "fashion_files", f"{now.products:,} of {before.products:,}", not now.products)
    told = f"{now.unpublished:,} of {before.unpublished:,}"
    yield Evidence("unpublished rows", "unpublished_products", told, not now.unpublished)
    yield Evidence(
        "publications", "published_products", f"{now.published:,} of {before.published:,}", not now.published
    )
    for version, vectors in now.vectors.items():
        told = f"{vectors:,} of {before.vectors.get(version, 0):,}"
        yield Evidence("vectors", f"index version {version}", told, not vectors)
    yield Evidence("curators", "users", ", ".join(now.curators) or "none", not now.curators)
    yield Evidence("programs", "machines", ", ".join(now.machines) or "none", not now.machines)
    yield Evidence("curators' sessions", "session_families", f"{sessions:,} go on", not sessions)
    pictures = sum(1 for _ in open_stores(settings).data.list(f"{OWN}{name}/"))
    yield Evidence("curators' pictures", f"s3://data/{OWN}{name}/", f"{pictures:,} objects", not pictures)
    pages = len(pages_of(open_stores(settings).checkpoints, name))
    yield Evidence("pages of waves", "s3://checkpoints/wave-…", f"{pages:,} objects", not pages)
    caches = [path for path in (settings.features_dir / name,) if path.exists()]
    yield Evidence("cached features", "the platform's cache folder", "there" if caches else "none", not caches)


def _kept(settings: Settings, name: str) -> Iterator[Evidence]:
    """The catalogue that the operator loaded is the operator's; its versions are never written again."""
    manifest = published_manifest(open_stores(settings).data)
    held = {client.name: client.products for client in manifest.clients} if manifest else {}
    told = f"{held[name]:,} products, until the catalogue is loaded again" if name in held else "not named"
    yield Evidence("partition", "the live catalogue's manifest", told, name not in held, is_kept=name in held)


def parts_in_models(settings: Settings, name: str) -> tuple[dict[str, Any], ...] | None:
    """Model versions that a client took part in; None: there is no MLflow to ask."""
    from server.participation import parts_of
    from server.tracking import Tracker

    return None if settings.mlflow_uri is None else tuple(parts_of(Tracker.of(settings), name))
