"""Brings what clients publish into an index version: starts a wave, waits for it, writes what came.

The clients embed on their own side, with the model of that version. A wave may be run as often as one likes: what a
version has already stays, what a client publishes no more goes, and what could not be had is had by the next.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from catalog.errors import OfferInvalid, VectorsInvalid
from catalog.index import IndexStore, IndexVersion
from catalog.publications import Coverage, Publications
from core.errors import TejidoError
from core.progress import Progress
from core.settings import Settings
from federation.spec import ModelSpec
from server.calibrating import calibrate_for
from server.checkpoints import RunFolder
from server.contracts import publishing_contract
from server.flower import Flower
from server.models import StoredModel
from server.runs import Watch
from server.sealing import Seals
from server.serving import fetch, load_version
from server.stores import open_stores
from server.tracking import Tracker
from server.wave_folder import PREFIX, Order, WaveFolder

ALLOWANCE_S = 120.0
"""For Flower to start and to end a run, beyond the wave's own deadline."""
KEEP_RETIRED = 1
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Heard:
    """What came of one client in a wave."""

    state: str
    """complete, withdrawn, silent, refused, failed, or asked: the wave ended before it had answered."""
    published: int = 0
    """Products that it says to publish."""
    written: int = 0
    shown_already: int = 0
    """Left out: the catalogue or its curator shows the same picture for it."""
    removed: int = 0
    reason: str = ""


def run_waves(settings: Settings, progress: Progress) -> dict[str, Any]:
    """One wave for the live index version; products that clients publish move to it, whoever was away before.

    Returns:
        ``version`` (None: no version is live, so nobody is asked), ``clients`` (name → `Heard`), ``coverage``
        (`Coverage` of each client) and ``dropped`` (versions that nobody's products need any more).

    Raises:
        ModelMissing, ModelDamaged, TrackingUnreachable: its model cannot be had.
        RunFailed, SuperLinkUnreachable: the wave came to no end; what was there stays.
    """
    dsn = settings.required("postgres_dsn")
    with IndexStore(dsn) as index, Publications(dsn) as publications:
        live = index.live()
        if live is None:
            return {"version": None, "clients": {}, "coverage": [], "dropped": []}
        heard = run_wave(settings, publications, live, stored_model(settings, live), progress)
        # After a rollback a pair may be new.
        calibrate_for(settings, live.id)
        dropped = index.drop_retired(keep=KEEP_RETIRED)
        return {
            "version": live.id,
            "clients": {name: asdict(found) for name, found in heard.items()},
            "coverage": [asdict(found) for found in publications.coverage(live.id)],
            "dropped": dropped,
        }


def stored_model(settings: Settings, version: IndexVersion) -> StoredModel:
    """The files of the model that a version was built by; ModelDamaged when its number is another model's by now."""
    load_version(settings, version)
    tracker = Tracker.of(settings)
    return fetch(tracker, tracker.require(version.model_version), settings.features_dir, Seals.of(settings))


def run_wave(
    settings: Settings, publications: Publications, version: IndexVersion, model: StoredModel, progress: Progress
) -> dict[str, Heard]:
    """Ask every client that is online, and write what came into ``version``; returns what came of each.

    Raises:
        RunFailed, SuperLinkUnreachable: it came to no end, and nothing was written.
    """
    stores = open_stores(settings)
    store = stores.checkpoints
    status = RunFolder(store, f"{PREFIX}{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}")
    folder = WaveFolder(store, status.name, stores.seals)
    order = order_of(settings, version, model.spec, publications.coverage(version.id))
    try:
        folder.begin(order, model.state)
        flower = Flower.of(settings)
        contract = publishing_contract(status.name, limit_s=order.deadline_s + ALLOWANCE_S)
        flower_run = flower.start({"run-key": status.name, "task": "publish"}, contract=contract)
        log.info("a wave begins", wave=status.name, model_version=order.model_version)
        watch = Watch(flower, flower_run, status, progress, limit_s=order.deadline_s + ALLOWANCE_S)
        result = watch.until_done()
        return {
            name: write(publications, folder, version, name, told) for name, told in sorted(result["clients"].items())
        }
    finally:
        folder.remove()


def order_of(settings: Settings, version: IndexVersion, spec: ModelSpec, coverage: list[Coverage]) -> Order:
    """What the clients are asked."""
    return Order(
        spec=spec.to_json(),
        model_version=version.model_version,
        model_hash=version.model_hash,
        base_hash=spec.preset.base_hash,
        dimension=version.dimension,
        expected=tuple(found.owner for found in coverage),
        page_size=settings.publishing_page,
        page_s=settings.publishing_page_s,
        wait_s=settings.publishing_wait_s,
        deadline_s=settings.publishing_deadline_s,
        attempts=settings.publishing_attempts,
    )


def write(
    publications: Publications, folder: WaveFolder, version: IndexVersion, client: str, told: Mapping[str, Any]
) -> Heard:
    """Bring one client's pages into the index, and take out what it publishes no more, once all is known.

    A client whose pages are refused costs nobody else anything.
    """
    state, reason, published = str(told["state"]), str(told["reason"]), int(told["published"])
    written = shown = 0
    references: list[int] = []
    try:
        for sent in folder.pages(client, int(told["pages"])):
            page = publications.put_page(client, version.id, sent.offers, sent.vectors)
            written, shown = written + page.written, shown + page.shown_already
            references += page.references
    except TejidoError as error:
        log.warning("a client's products are not written", client=client, code=error.code, reason=error.message)
        # What is wrong with its pages is its own affair; all else is ours, and its next wave brings them.
        is_theirs = isinstance(error, (OfferInvalid, VectorsInvalid))
        return Heard("refused" if is_theirs else "failed", published, written, shown, 0, error.message)
    # A client that was not heard to its end may publish more than came.
    removed = publications.keep_only(client, references) if state in ("complete", "withdrawn") else 0
    return Heard(state, published, written, shown, removed, reason)
