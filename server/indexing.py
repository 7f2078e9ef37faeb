"""Embed the live catalogue with the champion into a new index version, and swap it in once it is known to be good."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from catalog.database import Database
from catalog.index import IndexStore, IndexVersion
from catalog.manifest import live_manifest
from catalog.own_products import OwnProducts
from core.progress import Progress
from core.settings import Settings
from federation.features import Activations
from server.calibrating import calibrate_for
from server.coverage_gate import bring_published, left_behind
from server.errors import ChampionChanged
from server.gallery import Gallery, load_gallery
from server.index_notice import announce_index
from server.index_status import fields_of
from server.own_products import embed_own
from server.serving import ServedModel, load_champion
from server.stores import open_stores
from server.tracking import CHAMPION, ModelVersion, Tracker

STAGE = "indexing"
ADD_AT_ONCE = 2000
VERIFY_QUERIES = 200
KEEP_RETIRED = 1


class Champion(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def require(self, alias_or_version: str) -> ModelVersion:
        """A version."""


def build_index(settings: Settings, progress: Progress, *, rebuild: bool = False) -> dict[str, Any]:
    """Build, verify and swap in an index version of the champion over the live catalogue and curators' products.

    What clients have published they embed themselves, with this model: the swap waits for them, see coverage_gate.py.
    The towers run only for products that were never encoded before. Nothing happens when the live version has this
    model and this catalogue already, unless ``rebuild``.

    Returns:
        The live version's fields, ``up_to_date`` (nothing was built), ``seconds``, and ``left_behind``: products of
        clients that are found in an older version only, which stays for them.

    Raises:
        ModelMissing: nothing was promoted yet.
        CatalogueMissing: nothing is published.
        IndexRecallLow: the new version is not good enough; the old one stays live.
        ChampionChanged: after a promotion or rollback meanwhile, the index of what was champion must not go live.
    """
    began = time.monotonic()
    store = open_stores(settings).data
    manifest = live_manifest(store)
    model = load_champion(settings, settings.features_dir)
    with Database(settings.required("postgres_dsn")) as database:
        index, own = IndexStore(database), OwnProducts(database)
        live = index.live()
        if live and not rebuild and _is_current(live, model, manifest.version):
            return _answer(live, began, up_to_date=True) | left_behind(settings, live)
        gallery = load_gallery(
            store,
            manifest,
            model.encoder.spec,
            features_dir=settings.features_dir,
            progress=progress,
            towers=model.encoder.towers,
        )
        version = _begin(index, gallery, model, progress, more=own.count())
        embed_own(own, version, model, store, features_dir=settings.features_dir, progress=progress)
        bring_published(settings, version, progress)
        _finish(index, version, gallery, model, progress)
        # Before it goes live: from then on, what clients have not embedded yet is found beside it.
        calibrate_for(settings, version)
        require_champion(Tracker.of(settings), model.version)
        swapped = index.swap(version)
        announce_index(settings, swapped.id)
        index.drop_retired(keep=KEEP_RETIRED)
    return _answer(swapped, began, up_to_date=False) | left_behind(settings, swapped)


def require_champion(tracker: Champion, version: str) -> None:
    """Insist that the version whose index was built still is the champion; raises ChampionChanged."""
    champion = tracker.require(CHAMPION)
    if champion.version != version:
        raise ChampionChanged(
            f"Version {champion.version} became the champion while the index of version {version} was built.",
            hint="Build again: `tejido index build`.",
        )


def _begin(index: IndexStore, gallery: Gallery, model: ServedModel, progress: Progress, *, more: int) -> int:
    """A version with the products of the catalogue, into which ``more`` will come."""
    products = gallery.products
    version = index.begin(
        model.name,
        model.version,
        gallery.catalogue_version,
        model.encoder.dimension,
        model_hash=model.content_hash,
        expected=len(products) + more,
    )
    progress.update(STAGE, 0, len(products))
    for start in range(0, len(products), ADD_AT_ONCE):
        rows = slice(start, start + ADD_AT_ONCE)
        vectors = model.encoder.embed_images(Activations(products.images[0].rows[rows]))
        index.add(version, products.ids[rows].tolist(), vectors)
        progress.update(STAGE, min(start + ADD_AT_ONCE, len(products) - 1), len(products))
    return version


def _finish(index: IndexStore, version: int, gallery: Gallery, model: ServedModel, progress: Progress) -> None:
    index.finish(version)
    index.verify(version, _questions(gallery, model))
    progress.update(STAGE, len(gallery.products), len(gallery.products))


def _questions(gallery: Gallery, model: ServedModel) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Real titles, spread over the catalogue: an index is as good as it answers what people ask."""
    titles = len(gallery.products.titles)
    chosen = np.linspace(0, titles - 1, min(VERIFY_QUERIES, titles)).astype(int)
    return np.asarray(model.encoder.embed_texts(Activations(gallery.products.texts.pick(chosen))))


def _is_current(live: IndexVersion, model: ServedModel, catalogue_version: str) -> bool:
    wanted = (model.name, model.version, model.content_hash, catalogue_version)
    return (live.model_name, live.model_version, live.model_hash, live.catalogue_version) == wanted


def _answer(version: IndexVersion, began: float, *, up_to_date: bool) -> dict[str, Any]:
    return fields_of(version) | {"up_to_date": up_to_date, "seconds": round(time.monotonic() - began, 2)}
