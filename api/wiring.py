"""Connects the API to the real parts that its settings name. Nothing here waits for any of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from valkey import Valkey

from api.auth import Logins, MachineLogins
from api.beside import Beside
from api.catching_up import CatchingUp
from api.comparison import Comparison
from api.context import Services
from api.curating import Curating
from api.encoder_shelf import EncoderShelf
from api.health import Readiness
from api.image_urls import ImageUrls
from api.index_notices import IndexNotices
from api.limits import LoginLimits, RefreshLimits, SearchLimits, ValkeyCounters
from api.live_model import LiveModel
from api.metrics import ApiMetrics
from api.near_cache import NearCache
from api.operations import Operations
from api.pictures import Pictures
from api.ports import Encoder
from api.readers import FollowedReaders
from api.revocations import Revocations
from api.search import Search
from api.sessions import Sessions
from api.vectors import QueryVectors
from api.vocabulary import Vocabulary
from catalog.audit_log import AuditLog
from catalog.database import Database
from catalog.index import IndexStore, IndexVersion
from catalog.index.left_behind import LeftBehind
from catalog.machines import MachineStore
from catalog.own_products import OwnProducts
from catalog.pictures import ShardPictures
from catalog.sessions import SessionStore
from catalog.store import CatalogueStore
from catalog.unpublished import UnpublishedProducts
from core.settings import Settings
from security.followed_keys import FollowedKeys
from security.links import PictureLinks
from security.tokens import AccessTokens

if TYPE_CHECKING:
    from catalog.objects import ObjectStore
    from server.overview import Overview
    from server.tracking import Tracker

VALKEY_PATIENCE_S = 1.0
VALKEY_HEALTH_S = 10
DATA_BUCKET = "data"
ENCODING_THREADS = 2


def connected(settings: Settings) -> Services:
    """Services on the database, cache, buckets and keys of ``settings``.

    Raises:
        SettingsError: one of them is not set.
        SecurityError: the signing keys cannot be used.
    """
    database = Database(settings.required("postgres_dsn"))
    valkey, listening = _valkey(settings), _valkey(settings, health_check_interval=VALKEY_HEALTH_S)
    counters = ValkeyCounters(valkey)
    files, index = CatalogueStore(database), IndexStore(database)
    signing = Path(settings.required("signing_key_dir"))
    left_behind = LeftBehind(database)
    tokens = AccessTokens(FollowedKeys(signing))
    polled, audit, limits = SessionStore.to_poll(database.dsn), AuditLog(database), LoginLimits(counters)
    metrics = ApiMetrics()
    sessions = Sessions(SessionStore(database), Revocations(polled.revoked), RefreshLimits(counters), tokens, metrics)
    readers = FollowedReaders(settings)
    image_urls = ImageUrls(PictureLinks.open(signing), readers, readers.origins)
    model = LiveModel(
        index.live,
        lambda version: _encoder(settings, version),
        older=left_behind.of,
        notices=IndexNotices(listening),
    )
    vectors, own = QueryVectors(NearCache(valkey), metrics), OwnProducts(database)
    shelf = EncoderShelf(model, lambda version: _encoder(settings, version))
    shards = tempfile.TemporaryDirectory(prefix="tejido-pictures-")
    pictures = ShardPictures(lambda: _bucket(settings), Path(shards.name))
    catching_up = CatchingUp(model, vectors, own, pictures.picture)

    def close() -> None:
        shards.cleanup()
        for client in (valkey, listening):
            client.close()  # type: ignore[no-untyped-call]
        polled.close()
        database.close()

    return Services(
        logins=Logins(files, limits, sessions, audit),
        machine_logins=MachineLogins(MachineStore(database), limits, tokens, audit),
        sessions=sessions,
        files=files,
        vocabulary=Vocabulary(files),
        search=Search(model, vectors, index, files, metrics, Beside(left_behind, vectors, index)),
        pictures=Pictures(files, pictures),
        curating=Curating(
            model, vectors, own, UnpublishedProducts(database), cache(lambda: _bucket(settings)), catching_up.soon
        ),
        catching_up=catching_up,
        image_urls=image_urls,
        readiness=Readiness(
            {
                "database": lambda: _answers(files.ping),
                "cache": lambda: _answers(valkey.ping),
                "search": model.missing,
            }
        ),
        operations=Operations(settings, cache(lambda: _overview(settings, database, index))),
        search_limits=SearchLimits(counters, settings.searches_per_minute),
        comparison=Comparison(shelf, vectors, index, files),
        introspection=settings.graphql_introspection,
        metrics=metrics,
        metrics_token=settings.metrics_token(),
        connections=database.connections,
        close=close,
    )


def _valkey(settings: Settings, **options: int) -> Valkey:
    return Valkey.from_url(
        settings.required("valkey_url"),
        socket_timeout=VALKEY_PATIENCE_S,
        socket_connect_timeout=VALKEY_PATIENCE_S,
        **options,
    )


def _answers(ping: Callable[[], object]) -> None:
    """Nothing is missing from a part whose ping does not raise."""
    ping()


def _bucket(settings: Settings) -> ObjectStore:
    from catalog.objects import S3ObjectStore

    return S3ObjectStore(settings.platform_bucket(DATA_BUCKET))


def _overview(settings: Settings, database: Database, index: IndexStore) -> Overview:
    # Imported at the first question: an API that no operator asks needs neither MLflow nor what a run is made of.
    from catalog.audit import AuditTrail
    from server.overview import Overview
    from server.stores import open_stores

    return Overview(
        store=lambda: open_stores(settings).checkpoints,
        registry=lambda: _tracker(settings),
        indexes=index,
        trail=AuditTrail(database),
    )


def _tracker(settings: Settings) -> Tracker:
    from server.tracking import Tracker

    return Tracker.of(settings)


def _encoder(settings: Settings, version: IndexVersion) -> Encoder:
    # Imported here, in the thread that follows the live index: torch takes seconds and most of the memory.
    import torch

    from server.serving import load_version

    torch.set_num_threads(ENCODING_THREADS)
    encoder = load_version(settings, version).encoder
    # Now, not at the first query: only then does /readyz say that search is ready.
    encoder.warm_up()
    return encoder
