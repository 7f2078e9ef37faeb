"""Addresses of pictures: who serves each, for how long, and that nothing else opens one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from api.image_urls import ImageUrls
from security.errors import Unauthenticated
from security.links import PictureLinks
from tests.unit.api.fakes import READER, FakeReader, Parts, picture_of, row
from tests.unit.api.test_graphql_contract import ask

SHARD = "s3://data/train/v1/part-00000.parquet#7"
OWN = "s3://client-aurora/published/7-abcdef.jpg"
KEY = b"k" * 32


def urls(now: float = 1_000_000_000.0) -> ImageUrls:
    return ImageUrls(PictureLinks(KEY), {"client-aurora": FakeReader()}, now=lambda: now)


def test_a_picture_among_others_in_one_file_is_served_by_the_api_itself() -> None:
    found = urls().of(7, SHARD) or ""
    assert urlsplit(found).path == "/files/7/image"
    asked = {name: values[0] for name, values in parse_qs(urlsplit(found).query).items()}
    until = int(asked["until"])
    assert 240 < until - 1_000_000_000 <= 300
    for age in (0, 240):
        urls(1_000_000_000 + age).check(7, until, asked["signature"])
    for product, moment, signature, now in (
        (8, until, asked["signature"], 0),
        (7, until + 1, asked["signature"], 0),
        (7, until, "0" * 64, 0),
        (7, until, "ñ", 0),
        (7, until, asked["signature"], 301),
    ):
        with pytest.raises(Unauthenticated):
            urls(1_000_000_000 + now).check(product, moment, signature)


def test_a_link_that_would_live_long_is_refused_whoever_signed_it() -> None:
    links = PictureLinks(KEY)
    with pytest.raises(Unauthenticated):
        links.check(7, 2_000_000_000, links.sign(7, 2_000_000_000), now=1_000_000_000)


def test_a_picture_that_is_an_object_of_its_own_is_opened_where_it_lies() -> None:
    assert (urls().of(7, OWN) or "").startswith(f"{READER}/client-aurora/published/7-abcdef.jpg?X-Amz-Expires=")


def test_there_is_no_address_where_no_browser_reaches_the_picture() -> None:
    nobody = replace(urls(), readers={})
    assert nobody.of(7, OWN) is None
    # Another client's file of products would be opened whole.
    assert urls().of(7, "s3://client-aurora/partitions/v1/part-0.parquet#7") is None
    assert urls().of(7, "nonsense") is None
    assert (nobody.of(7, "s3://data/curated/7.jpg") or "").startswith("/files/7/image?until=")


def test_the_key_is_made_once_and_shared_by_all_who_serve_the_api(tmp_path: Path) -> None:
    first, second = PictureLinks.open(tmp_path), PictureLinks.open(tmp_path)
    assert first.sign(1, 2) == second.sign(1, 2) != PictureLinks(KEY).sign(1, 2)
    with pytest.raises(ValueError, match="too short"):
        PictureLinks(b"short")


def test_a_link_opens_the_picture_without_a_token_and_no_other(anonymous: TestClient, client: TestClient) -> None:
    found = ask(client, "{ file(id: 7) { imageUrl } }")["data"]["file"]["imageUrl"]
    del client.headers["Authorization"]
    assert anonymous.get(found).content == picture_of(7)
    assert anonymous.get(found.replace("/7/", "/8/")).status_code == 401
    assert anonymous.get(found.replace("signature=", "signature=0")).status_code in (400, 401, 422)
    assert anonymous.get("/files/7/image").status_code == 401


def test_a_published_product_shows_its_owner_s_bucket(client: TestClient, parts: Parts) -> None:
    parts.files.rows.append(replace(row(1), id=1_000_000_001, s3_path=OWN, origin="published", owner="aurora"))
    found = ask(client, "{ file(id: 1000000001) { imageUrl owner } }")["data"]["file"]
    assert found["imageUrl"].startswith(READER)


@pytest.mark.parametrize(
    "path", ["/v1/search?text=like+7&first=1", "/v1/files/8/similar?first=100&base_colour=Black", "/v1/files?first=7"]
)
def test_rest_gives_addresses_where_they_are_asked_for(client: TestClient, parts: Parts, path: str) -> None:
    def shown(*more: str) -> list[str | None]:
        answer = client.get("&".join((path, *more))).json()
        products = answer["files"] if "files" in answer else [hit["product"] for hit in answer["hits"]]
        return [product["image_url"] for product in products if product["id"] == 7]

    assert shown() == [None]
    (address,) = shown("image_urls=true")
    assert address == ask(client, "{ file(id: 7) { imageUrl } }")["data"]["file"]["imageUrl"]
    parts.files.rows[6] = replace(parts.files.rows[6], s3_path=OWN)
    (presigned,) = shown("image_urls=true")
    assert str(presigned).startswith(READER)


def test_pages_may_load_pictures_from_where_urls_are_signed_for(client: TestClient) -> None:
    assert f"img-src 'self' {READER} blob:" in client.get("/").headers["Content-Security-Policy"]
    assert READER not in client.get("/healthz").headers["Content-Security-Policy"]
