"""Clients publish what they keep to themselves, on real parts: their word, waves, a promotion with one away."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from catalog.database import Database
from catalog.errors import KeyInvalid
from catalog.etl import client_stores, load
from catalog.index import IndexStore
from catalog.index.left_behind import LeftBehind, merged
from catalog.objects import S3ObjectStore
from catalog.pictures import ShardPictures
from catalog.presigning import Presigner
from catalog.publications import Publications
from catalog.published import PICTURES
from catalog.store import CatalogueStore, FashionFile
from clients.contracts import Contracts
from clients.dataset import open_dataset
from clients.publication import Publication, withdraw_pictures, write_publication
from core.progress import NoProgress
from core.settings import Bucket, ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from embedded.sweep import kill_service
from federation.config import FederationConfig
from server.indexing import build_index
from server.promotion import promote
from server.runs import run_contracts, run_federation
from server.serving import load_champion, load_version
from server.stores import open_stores
from server.waves import run_waves

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CLIENTS = ("aurora", "boreal", "cobre")
PRODUCTS = 240
BRISK = {"publishing_page": 25, "publishing_wait_s": 6.0, "publishing_page_s": 25.0, "publishing_attempts": 1}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(
            Path(folder),
            CLIENTS,
            parts=Parts(airflow=False, api=False),
            tell=lambda event: print(event.text, file=sys.stderr),
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return stack.settings().model_copy(update=BRISK)


@pytest.fixture(scope="module")
def indexed(stack: Stack, settings: Settings, fashion_dir: Path) -> dict[str, Any]:
    """A trained champion, and an index of what the catalogue shows; what clients hold is not shown any more."""
    buckets = client_stores(
        ClientBucket(**client) for client in json.loads(Path(settings.required("clients_file")).read_text())
    )
    with CatalogueStore(settings.required("postgres_dsn")) as rows:
        load(f"dir:{fashion_dir}", store=open_stores(settings).data, catalogue=rows, clients=buckets, limit=PRODUCTS)
    _train(settings, seed=0)
    build_index(settings, NoProgress())
    with psycopg.connect(settings.required("postgres_dsn")) as connection:
        connection.execute("DELETE FROM fashion_files WHERE owner IS NOT NULL")
    return build_index(settings, NoProgress(), rebuild=True)


def _train(settings: Settings, *, seed: int) -> None:
    run = run_federation(settings, FederationConfig(rounds=1, local_epochs=10, seed=seed), f"seed-{seed}", NoProgress())
    promote(settings, version=run["mlflow"]["version"], override="for a test")


def publish(stack: Stack, client: str, publication: Publication) -> int:
    """As `tejido client publish` does; how many of its products it covers."""
    dataset = open_dataset(stack.client_settings(client), partition=None)
    write_publication(dataset.store, publication)
    if publication.withdrawn:
        withdraw_pictures(dataset.store)
    return sum(publication.covers(product) for product in dataset.products())


def published(settings: Settings, owner: str) -> list[FashionFile]:
    with CatalogueStore(settings.required("postgres_dsn")) as rows:
        return [file for file in rows.all_files(1000) if file.owner == owner and file.origin == "published"]


def found_first(settings: Settings, stack: Stack, owner: str, *, version: int | None = None) -> float:
    """Share of a client's products that its own photo finds first, in a version of the index."""
    dataset = open_dataset(stack.client_settings(owner), partition=None)
    pictures = {product.image_sha256: product.image for product in dataset.products()}
    files = published(settings, owner)[:40]
    with IndexStore(settings.required("postgres_dsn")) as index:
        live = index.live() if version is None else next(v for v in index.versions() if v.id == version)
        assert live is not None
        encoder = load_champion(settings, settings.features_dir, version=live.model_version).encoder
        vectors = encoder.encode_images([pictures[file.image_sha256] for file in files])
        hits = [index.search(vector, 10, version=live.id).hits for vector in vectors]
    return sum(f.id in [h.product_id for h in best] for f, best in zip(files, hits, strict=True)) / max(len(files), 1)


def found_merged(settings: Settings, stack: Stack, owner: str) -> float:
    """The same share, where the live version and those that answer beside it are asked, each in its own space."""
    dataset = open_dataset(stack.client_settings(owner), partition=None)
    pictures = {product.image_sha256: product.image for product in dataset.products()}
    files, found = published(settings, owner)[:40], 0
    with Database(settings.required("postgres_dsn")) as database, IndexStore(database) as index:
        live, behind = index.live(), LeftBehind(database)
        assert live is not None
        (straggling,) = behind.of(live.id)
        figures = straggling.calibration("image")
        print(f"calibration {figures}", file=sys.stderr)
        assert figures.error is not None
        assert figures.error < 0.1
        images = [pictures[file.image_sha256] for file in files]
        encoders = [load_version(settings, version).encoder for version in (live, straggling.version)]
        newer, older = (encoder.encode_images(images) for encoder in encoders)
        for file, vector, old_vector in zip(files, newer, older, strict=True):
            hits = index.search(vector, 11).hits
            behind_hits = behind.search(straggling, old_vector, 11, kind="image")
            found += file.id in [hit.product_id for hit in merged(hits, behind_hits, k=10)]
    return found / max(len(files), 1)


def assert_both_sides_keep_the_contract(stack: Stack, settings: Settings) -> None:
    """Of the last wave, which all clients have answered, and whose folder is gone."""
    for name in CLIENTS:
        *_, last = Contracts.of(stack.client_settings(name)).read()
        (ours,) = run_contracts(settings, str(last["contract"]["run"]))["contracts"]
        assert (ours["sha256"], ours["contract"]) == (last["sha256"], last["contract"])
        assert ours["contract"]["terms"] is None
        assert ours["is_signed"]
        assert ours["clients"] == dict.fromkeys(CLIENTS, True)


def test_without_its_own_word_no_client_publishes_anything(settings: Settings, indexed: dict[str, Any]) -> None:
    found = run_waves(settings, NoProgress())
    assert {name: heard["state"] for name, heard in found["clients"].items()} == dict.fromkeys(CLIENTS, "silent")
    assert found["coverage"] == []


def test_what_a_client_publishes_is_found_and_the_photos_stay_in_its_bucket(
    stack: Stack, settings: Settings, indexed: dict[str, Any], tmp_path: Path
) -> None:
    counts = {name: publish(stack, name, Publication(everything=True)) for name in CLIENTS}
    found = run_waves(settings, NoProgress())
    for name, count in counts.items():
        heard = found["clients"][name]
        assert (heard["state"], heard["published"], heard["written"]) == ("complete", count, count), heard
        assert found_first(settings, stack, name) >= 0.95
    assert {c["owner"]: c["covered"] for c in found["coverage"]} == counts
    file = published(settings, "aurora")[0]
    key = file.s3_path.removeprefix("s3://client-aurora/")
    reader = next(
        Bucket(**entry)
        for entry in json.loads(Path(str(settings.readers_file)).read_text())
        if entry["bucket"] == "client-aurora"
    )
    assert httpx.get(Presigner(reader).url(key, valid_s=60)).status_code == 200
    assert key.startswith(PICTURES)
    platform = ShardPictures(lambda: open_stores(settings).data, tmp_path)
    with pytest.raises(KeyInvalid, match="names no picture of this bucket"):
        platform.picture(file.s3_path)
    assert not list(open_stores(settings).checkpoints.list("wave-"))
    assert_both_sides_keep_the_contract(stack, settings)


def test_a_client_may_hold_back_and_withdraw(stack: Stack, settings: Settings, indexed: dict[str, Any]) -> None:
    kinds = {
        product.article_type for product in open_dataset(stack.client_settings("boreal"), partition=None).products()
    }
    kind = sorted(str(k) for k in kinds)[0]
    count = publish(stack, "boreal", Publication(article_types=(kind,)))
    found = run_waves(settings, NoProgress())
    assert {file.article_type for file in published(settings, "boreal")} == {kind}
    assert len(published(settings, "boreal")) == count
    own = stack.client_settings("boreal")
    bucket = S3ObjectStore(own.platform_bucket(own.required("client_bucket")))
    assert len(list(bucket.list(PICTURES))) == count
    publish(stack, "boreal", Publication(withdrawn=True))
    assert list(bucket.list(PICTURES)) == []
    found = run_waves(settings, NoProgress())
    assert (found["clients"]["boreal"]["state"], found["clients"]["boreal"]["removed"]) == ("withdrawn", count)
    assert published(settings, "boreal") == []


def test_no_promotion_drops_the_products_of_a_client_that_is_away(
    stack: Stack, settings: Settings, indexed: dict[str, Any]
) -> None:
    publish(stack, "boreal", Publication(everything=True))
    run_waves(settings, NoProgress())
    before, old = found_first(settings, stack, "cobre"), _live(settings)
    _train(settings, seed=1)
    kill_service(stack.state.stack_id, "supernode-cobre")
    kill_service(stack.state.stack_id, "clientapps-cobre")
    time.sleep(1)
    built = build_index(settings, NoProgress())
    assert built["model_version"] != ""
    new, theirs = _live(settings), published(settings, "cobre")
    assert new != old
    assert built["left_behind"] == [{"client": "cobre", "products": len(theirs), "version": old}]
    assert theirs
    assert found_first(settings, stack, "cobre", version=old) >= 0.95 * before
    assert found_merged(settings, stack, "cobre") >= 0.95 * before
    assert found_first(settings, stack, "aurora") >= 0.95
    # However often the index is built anew meanwhile, the version that has them stays.
    rebuilt = build_index(settings, NoProgress(), rebuild=True)
    assert rebuilt["left_behind"] == built["left_behind"]
    _restart(stack, "supernode-cobre", "clientapps-cobre")
    found = run_waves(settings, NoProgress())
    assert found["clients"]["cobre"]["state"] == "complete", found
    assert old in found["dropped"]
    assert found_first(settings, stack, "cobre") >= 0.95
    with Publications(settings.required("postgres_dsn")) as publications:
        assert {held.version for held in publications.held()} == {_live(settings)}


def _live(settings: Settings) -> int:
    with IndexStore(settings.required("postgres_dsn")) as index:
        live = index.live()
    assert live is not None
    return live.id


def _restart(stack: Stack, *slugs: str) -> None:
    for slug in slugs:
        for attempt in range(12):
            try:
                stack.restart(slug)
                break
            except Exception:
                # The SuperLink takes a node that was killed for online for up to a minute, and refuses it.
                if attempt == 11:
                    raise
                time.sleep(10)
