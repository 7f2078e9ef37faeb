"""Before a new index version goes live: every client that published gets the time to embed its products for it.

A client that is away, or fails, holds nobody up for ever. Then the version that has its products stays, however old it
is (`catalog.index.versions.unneeded`), and they move to the new one in a later wave: no promotion drops any of them.
"""

from __future__ import annotations

import time
from typing import Any

import structlog

from catalog.index import IndexStore, IndexVersion
from catalog.publications import Coverage, Publications
from core.progress import Progress
from core.settings import Settings
from server.errors import RunFailed, RunRefused, SuperLinkUnreachable
from server.waves import run_wave, stored_model

log = structlog.get_logger(__name__)
PAUSE_S = 2.0


def bring_published(settings: Settings, version: int, progress: Progress) -> list[Coverage]:
    """Run waves for a version that is built, until it holds enough of each client's products or the time is over.

    Nothing is asked where nobody has published. Returns how much of each client's products the version holds.

    Raises:
        ModelMissing, ModelDamaged, TrackingUnreachable: the model cannot be had.
    """
    dsn = settings.required("postgres_dsn")
    with IndexStore(dsn) as index, Publications(dsn) as publications:
        building = next(found for found in index.versions() if found.id == version)
        if not publications.coverage(version):
            return []
        deadline = time.monotonic() + settings.publishing_deadline_s
        for attempt in range(settings.publishing_attempts):
            if attempt and time.monotonic() + PAUSE_S >= deadline:
                break
            time.sleep(PAUSE_S if attempt else 0)
            _wave(settings, publications, building, progress)
            coverage = publications.coverage(version)
            if not (short := lacking(coverage, settings.publishing_coverage)):
                return coverage
            log.warning("a new index version lacks products of clients", version=version, lacking=short)
        return publications.coverage(version)


def lacking(coverage: list[Coverage], least: float) -> dict[str, int]:
    """Clients of whose products too few are there → how many are missing."""
    return {found.owner: found.published - found.covered for found in coverage if found.share < least}


def left_behind(settings: Settings, live: IndexVersion) -> dict[str, Any]:
    """Products of clients that are found in older versions only: which version has how many of whose."""
    with Publications(settings.required("postgres_dsn")) as publications:
        held = [found for found in publications.held() if found.version != live.id]
    return {"left_behind": [{"client": h.owner, "products": h.products, "version": h.version} for h in held]}


def _wave(settings: Settings, publications: Publications, version: IndexVersion, progress: Progress) -> None:
    if settings.flwr_home is None:
        log.warning("this process knows no SuperLink, so no client is asked", version=version.id)
        return
    try:
        run_wave(settings, publications, version, stored_model(settings, version), progress)
    except (RunFailed, RunRefused, SuperLinkUnreachable) as error:
        # As if all clients were away: what they have published stays where it is.
        log.warning("a wave came to no end", version=version.id, code=error.code, reason=error.message)
