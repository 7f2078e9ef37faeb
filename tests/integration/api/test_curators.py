"""A client's curator at work: commands, a real process, a real index, real pictures in S3."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from catalog.index import IndexStore
from catalog.objects import S3ObjectStore
from core.settings import Settings
from tests.integration.api.stacks import Loaded, ask, make_model_and_index, until_ready

pytestmark = pytest.mark.integration

PASSWORD = "a password for curators"
FOUND_WITHIN_S = 5.0
CREATE = """mutation ($products: [ProductInput!]!) { createProducts(products: $products) {
    reference state error { code } product { id s3Path } } }"""
BY_COLOUR = "query ($c: [String!]) { files(filter: {baseColour: $c}) { totalCount } }"
BY_IMAGE = """query ($image: String!, $filter: FileFilter) { searchByImage(image: $image, first: 3, filter: $filter) {
    indexVersion edges { score node { id owner } } } }"""


def drawn(number: int) -> bytes:
    """A picture like no other: stripes of a colour and a width of its own."""
    image = Image.new("RGB", (60, 80), (number * 37 % 256, number * 91 % 256, number * 53 % 256))
    for x in range(0, 60, 3 + number % 17):
        image.paste((255 - number * 29 % 256, number * 11 % 256, number * 67 % 256), (x, number % 40, x + 2, 80))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def product(number: int, **changes: Any) -> dict[str, Any]:
    image = encoded(drawn(number))
    return {"reference": f"a-{number}", "productDisplayName": f"Own {number}", "image": image, **changes}


def tejido(loaded: Loaded, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of the platform, with its settings."""
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(loaded.stack.platform_env)}
    command = [str(Path(sys.executable).parent / "tejido"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secrets") / "password"
    path.write_text(PASSWORD + "\n")
    return path


@pytest.fixture(scope="module")
def curated(loaded: Loaded, password_file: Path) -> Loaded:
    """The stack with a model, an index, and curators of two clients."""
    for name, client in (("luz", "aurora"), ("sol", "boreal")):
        added = tejido(loaded, "user", "add", name, "--role", "curator", "--client", client,
                       "--password-file", password_file, "--format", "json")  # fmt: skip
        assert json.loads(added.stdout) == {"username": name, "roles": ["curator"], "client": client}, added.stderr
    make_model_and_index(loaded.settings)
    with httpx.Client(base_url=loaded.settings.required("api_url")) as http:
        until_ready(http)
    return loaded


@pytest.fixture
def luz(curated: Loaded) -> Iterator[httpx.Client]:
    yield from signed_in(curated.settings, "luz")


@pytest.fixture
def sol(curated: Loaded) -> Iterator[httpx.Client]:
    yield from signed_in(curated.settings, "sol")


def signed_in(settings: Settings, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=settings.required("api_url"), timeout=60) as client:
        answer = client.post("/auth/token", data={"username": name, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def found(client: httpx.Client, number: int, **filters: Any) -> list[int]:
    """Ids of the products that look most like the picture."""
    answer = ask(client, BY_IMAGE, image=encoded(drawn(number)), filter=filters or None)["searchByImage"]
    return [edge["node"]["id"] for edge in answer["edges"]]


def until_found(client: httpx.Client, number: int, product_id: int, *, within_s: float) -> float:
    """Seconds until the product is the first that its picture finds."""
    began = time.monotonic()
    while found(client, number, owner=["aurora"])[:1] != [product_id]:
        assert time.monotonic() - began < within_s
        time.sleep(0.1)
    return time.monotonic() - began


def test_who_may_log_in_is_listed_and_nobody_is_added_twice(curated: Loaded, password_file: Path) -> None:
    users = json.loads(tejido(curated, "user", "list", "--format", "json").stdout)["users"]
    clients = {user["username"]: user["client"] for user in users}
    assert clients == {"ana": None, "olga": None, "luz": "aurora", "sol": "boreal"}
    again = tejido(curated, "user", "add", "luz", "--role", "reader", "--password-file", password_file)
    assert again.returncode == 1
    assert "command.user_exists" in again.stderr
    assert tejido(curated, "user", "add", "x", "--role", "curator", "--password-file", password_file).returncode == 2


def test_a_created_product_is_found_by_its_picture_within_five_seconds(luz: httpx.Client, http: httpx.Client) -> None:
    began = time.monotonic()
    (result,) = ask(luz, CREATE, products=[product(1)])["createProducts"]
    assert found(http, 1)[0] == result["product"]["id"]
    seconds = time.monotonic() - began
    print(f"one product: {seconds:.3f} s from the call to found")
    assert seconds < FOUND_WITHIN_S
    assert http.get(f"/files/{result['product']['id']}/image").content == drawn(1)


def test_fifty_products_are_found_within_five_seconds_and_a_broken_one_is_refused_alone(
    luz: httpx.Client, http: httpx.Client
) -> None:
    products = [product(number) for number in range(100, 150)]
    products[25]["image"] = encoded(drawn(125)[:100])
    began = time.monotonic()
    results = ask(luz, CREATE, products=products)["createProducts"]
    last = results[-1]["product"]["id"]
    assert found(http, 149)[0] == last
    seconds = time.monotonic() - began
    print(f"fifty products: {seconds:.3f} s from the call to the last one found")
    assert seconds < FOUND_WITHIN_S
    assert [result["state"] for result in results] == ["created"] * 25 + ["refused"] + ["created"] * 24
    assert results[25]["error"] == {"code": "api.image_invalid"}


def test_a_change_moves_the_product_to_its_new_filter_and_counts_at_once(luz: httpx.Client, http: httpx.Client) -> None:
    (result,) = ask(luz, CREATE, products=[product(2, baseColour="Zinc")])["createProducts"]
    number = result["product"]["id"]
    update = "mutation ($id: Int!, $c: ProductChanges!) { updateProduct(id: $id, changes: $c) { state } }"
    assert ask(luz, update, id=number, c={"baseColour": "Ochre"})["updateProduct"] == {"state": "updated"}
    assert found(http, 2, baseColour=["Ochre"]) == [number]
    answer = http.post("/graphql", json={"query": BY_COLOUR, "variables": {"c": ["Zinc"]}}).json()
    # Nothing has it any more.
    assert answer["errors"][0]["extensions"]["code"] == "api.argument_invalid"
    (colours,) = [
        facet["values"]
        for facet in ask(http, "{ facets { attribute values { value products } } }")["facets"]
        if facet["attribute"] == "baseColour"
    ]
    assert {"value": "Ochre", "products": 1} in colours


def test_a_client_cannot_touch_the_products_of_another(luz: httpx.Client, sol: httpx.Client) -> None:
    (result,) = ask(luz, CREATE, products=[product(3)])["createProducts"]
    body = {"query": f"mutation {{ deleteProduct(id: {result['product']['id']}) {{ id }} }}"}
    assert sol.post("/graphql", json=body).json()["errors"][0]["extensions"]["code"] == "api.not_found"
    assert ask(sol, '{ ownProducts(references: ["a-3"]) { reference } }')["ownProducts"] == []


def test_the_next_index_holds_what_curators_wrote_before_it_goes_live(
    curated: Loaded, luz: httpx.Client, http: httpx.Client
) -> None:
    (result,) = ask(luz, CREATE, products=[product(4)])["createProducts"]
    with IndexStore(curated.settings.required("postgres_dsn")) as index:
        before = index.live()
        made = make_model_and_index(curated.settings, seed=1)
        after = index.live()
        assert before
        assert after
        assert (after.id, after.products) == (made.index, before.products)
        assert index.vector(result["product"]["id"], version=after.id) is not None
        until_ready(http)
        seconds = until_found(http, 4, result["product"]["id"], within_s=30)
        print(f"after a promotion: {seconds:.1f} s")

        # Written into the new one only; a rollback to the one before must not lose it.
        (late,) = ask(luz, CREATE, products=[product(5)])["createProducts"]
        assert index.vector(late["product"]["id"], version=before.id) is None
        index.swap(before.id)
        until_ready(http)
        seconds = until_found(http, 5, late["product"]["id"], within_s=30)
        print(f"after a rollback: {seconds:.1f} s until what was written meanwhile is found again")
        assert index.vector(late["product"]["id"], version=before.id) is not None


def test_a_folder_is_uploaded_and_uploaded_again_without_sending_a_picture_twice(
    curated: Loaded, luz: httpx.Client, password_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    lines = ["id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"]
    for number in range(1000, 1070):
        lines.append(f"{number},Women,Apparel,Topwear,Tops,Blue,Summer,2026,Casual,Own Women Top {number}")
        (tmp_path / f"images/{number}.png").write_bytes(drawn(number))
    (tmp_path / "images/1007.png").write_bytes(b"no picture")
    (tmp_path / "images/1030.png").unlink()
    (tmp_path / "styles.csv").write_text("\n".join(lines))
    command = ("catalog", "upload", tmp_path, "--user", "luz", "--password-file", password_file, "--format", "json")

    first = tejido(curated, *command)
    assert first.returncode == 1, first.stderr
    result = json.loads(first.stdout)
    assert result["products"] == {"created": 68, "updated": 0, "published": 0, "unchanged": 0, "refused": 2}
    assert [(item["row"], item["reference"]) for item in result["refused"]] == [(8, "1007"), (31, "1030")]
    assert all(item["code"] == "api.image_invalid" and item["hint"] for item in result["refused"])

    (tmp_path / "images/1007.png").write_bytes(drawn(1007))
    (tmp_path / "images/1030.png").write_bytes(drawn(1030))
    (tmp_path / "styles.csv").write_text("\n".join(lines).replace("Own Women Top 1001", "Own Women Red Top 1001"))
    second = tejido(curated, *command)
    assert second.returncode == 0, second.stderr
    result = json.loads(second.stdout)
    assert result == {
        "products": {"created": 2, "updated": 1, "published": 0, "unchanged": 67, "refused": 0},
        "refused": [],
    }


def test_a_deleted_product_is_found_no_more_and_its_picture_is_gone(
    curated: Loaded, luz: httpx.Client, http: httpx.Client
) -> None:
    (result,) = ask(luz, CREATE, products=[product(6)])["createProducts"]
    bucket = S3ObjectStore(curated.settings.platform_bucket("data"))
    key = result["product"]["s3Path"].removeprefix("s3://data/")
    assert bucket.get(key) == drawn(6)
    ask(luz, f"mutation {{ deleteProduct(id: {result['product']['id']}) {{ id }} }}")
    assert result["product"]["id"] not in found(http, 6)
    assert not bucket.exists(key)
    assert http.get(f"/files/{result['product']['id']}/image").status_code == 404


def test_what_is_not_published_is_seen_by_nobody_else_until_it_is(
    luz: httpx.Client, sol: httpx.Client, http: httpx.Client
) -> None:
    (result,) = ask(luz, CREATE, products=[product(7, publish=False)])["createProducts"]
    number = result["product"]["id"]
    by_id = "query ($id: Int!) { file(id: $id) { id } }"
    for other in (sol, http, luz):
        assert ask(other, by_id, id=number)["file"] is None
        assert number not in found(other, 7)
        assert other.get(f"/files/{number}/image").status_code == 404
    body = {"query": "mutation ($id: Int!) { publishProduct(id: $id) { state } }", "variables": {"id": number}}
    assert sol.post("/graphql", json=body).json()["errors"][0]["extensions"]["code"] == "api.not_found"
    assert luz.post("/graphql", json=body).json()["data"]["publishProduct"] == {"state": "published"}
    seconds = until_found(http, 7, number, within_s=30)
    print(f"published: {seconds:.1f} s until it is found by its picture")
    assert http.get(f"/files/{number}/image").content == drawn(7)
