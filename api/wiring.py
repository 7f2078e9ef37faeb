"""Connects the API to the real parts that its settings name. Nothing here waits for any of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from valkey import Valkey

from api.auth import Logins
from api.context import Services
from api.health import Readiness
from api.image_urls import ImageUrls
from api.limits import LoginLimits, ValkeyCounters
from api.live_model import LiveModel
from api.metrics import ApiMetrics
from api.pictures import Pictures
from api.ports import Encoder
from api.search import Search
from api.vectors import QueryVectors
from catalog.database import Database
from catalog.index import IndexStore, IndexVersion
from catalog.index.left_behind import LeftBehind
from catalog.pictures import ShardPictures
from catalog.presigning import Presigner
from catalog.store import CatalogueStore
from core.settings import Settings
from security.links import PictureLinks
from security.signing_keys import SigningKeys
from security.tokens import AccessTokens

if TYPE_CHECKING:
    from catalog.objects import ObjectStore

VALKEY_PATIENCE_S = 1.0
DATA_BUCKET = "data"
ENCODING_THREADS = 2


def connected(settings: Settings) -> Services:
    """Services on the database, cache, buckets and keys of ``settings``.

    Raises:
        SettingsError: one of them is not set.
        SecurityError: the signing keys cannot be used.
    """
    database = Database(settings.required("postgres_dsn"))
    valkey = Valkey.from_url(
        settings.required("valkey_url"),
        socket_timeout=VALKEY_PATIENCE_S,
        socket_connect_timeout=VALKEY_PATIENCE_S,
    )
    files, index = CatalogueStore(database), IndexStore(database)
    signing = Path(settings.required("signing_key_dir"))
    keys = SigningKeys.open(signing)
    readers = settings.readers()
    image_urls = ImageUrls(
        PictureLinks.open(signing),
        {bucket.bucket: Presigner(bucket) for bucket in readers},
        tuple(sorted({bucket.endpoint for bucket in readers})),
    )
    model = LiveModel(index.live, lambda version: _encoder(settings, version), older=LeftBehind(database).of)
    metrics = ApiMetrics()
    shards = tempfile.TemporaryDirectory(prefix="tejido-pictures-")

    def close() -> None:
        shards.cleanup()
        valkey.close()  # type: ignore[no-untyped-call]
        database.close()

    return Services(
        logins=Logins(files, LoginLimits(ValkeyCounters(valkey)), AccessTokens(keys)),
        files=files,
        search=Search(model, QueryVectors(valkey, metrics), index, files, metrics),
        pictures=Pictures(files, ShardPictures(lambda: _bucket(settings), Path(shards.name))),
        image_urls=image_urls,
        readiness=Readiness(
            {
                "database": lambda: _answers(files.ping),
                "cache": lambda: _answers(valkey.ping),
                "search": model.missing,
            }
        ),
        introspection=settings.graphql_introspection,
        metrics=metrics,
        metrics_token=settings.metrics_token(),
        connections=database.connections,
        close=close,
    )


def _answers(ping: Callable[[], object]) -> None:
    """Nothing is missing from a part whose ping does not raise."""
    ping()


def _bucket(settings: Settings) -> ObjectStore:
    from catalog.objects import S3ObjectStore

    return S3ObjectStore(settings.platform_bucket(DATA_BUCKET))


def _encoder(settings: Settings, version: IndexVersion) -> Encoder:
    # Imported here, in the thread that follows the live index: torch takes seconds and most of the memory.
    import torch

    from server.serving import load_version

    torch.set_num_threads(ENCODING_THREADS)
    encoder = load_version(settings, version).encoder
    # Now, not at the first query: only then does /readyz say that search is ready.
    encoder.warm_up()
    return encoder
