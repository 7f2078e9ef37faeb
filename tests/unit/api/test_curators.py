"""Products that a client's curator writes: found at once, refused alone, and nobody else's to touch."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from fastapi.testclient import TestClient

from catalog.store import FIRST_OWN_ID
from tests.unit.api.fakes import PASSWORD, PASSWORD_HASH, FakeEncoder, Parts, picture_of, row

CREATE = """mutation ($products: [ProductInput!]!) { createProducts(products: $products) {
    index reference state error { code message hint }
    product { id owner origin split dataset brand baseColour year productDisplayName s3Path } } }"""
UPDATE = """mutation ($id: Int!, $changes: ProductChanges!) { updateProduct(id: $id, changes: $changes) {
    state product { id baseColour gender year productDisplayName brand s3Path } } }"""
DELETE = "mutation ($id: Int!) { deleteProduct(id: $id) { id productDisplayName } }"
OWN = (
    "query ($references: [String!]!) { ownProducts(references: $references) { reference imageSha256 product { id } } }"
)
BY_IMAGE = "query ($image: String!) { searchByImage(image: $image, first: 1) { edges { score node { id } } } }"


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def product(number: int, **changes: Any) -> dict[str, Any]:
    title = f"Aurora Women Top {number}"
    return {"reference": f"a-{number}", "productDisplayName": title, "image": encoded(picture_of(number)), **changes}


def asked(client: TestClient, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def written(client: TestClient, *products: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = asked(client, CREATE, products=list(products))["data"]["createProducts"]
    return results


def encodings(parts: Parts) -> int:
    encoder = parts.services.search.model.current().encoder
    assert isinstance(encoder, FakeEncoder)
    return encoder.encoded


def refusal(answer: Any) -> str:
    assert not answer["data"]
    code: str = answer["errors"][0]["extensions"]["code"]
    return code


def test_a_created_product_is_found_by_its_own_picture_at_once(curator: TestClient, parts: Parts) -> None:
    # As nobody else's: the fake encoder knows 51, and the fake catalogue then has no other like it.
    parts.files.rows.remove(row(51))
    (result,) = written(curator, product(51, baseColour="Teal", year=2026))
    found = result["product"]
    path = f"s3://data/own/aurora/{hashlib.sha256(picture_of(51)).hexdigest()}.jpg"
    assert (result["index"], result["reference"], result["state"], result["error"]) == (0, "a-51", "created", None)
    assert found == {
        "id": FIRST_OWN_ID, "owner": "aurora", "origin": "curator", "split": None, "dataset": "curator",
        "brand": "Aurora", "baseColour": "Teal", "year": 2026, "productDisplayName": "Aurora Women Top 51",
        "s3Path": path,
    }  # fmt: skip
    (edge,) = asked(curator, BY_IMAGE, image=encoded(picture_of(51)))["data"]["searchByImage"]["edges"]
    assert edge["node"]["id"] == found["id"]
    assert edge["score"] == pytest.approx(1, abs=1e-3)
    # The search met the vector that the product was written with.
    assert encodings(parts) == 1
    assert curator.get(f"/files/{found['id']}/image").content == picture_of(51)


def test_a_product_that_cannot_be_used_is_refused_alone(curator: TestClient, parts: Parts) -> None:
    whole = picture_of(3)
    broken = [
        product(1, image=encoded(whole[: len(whole) // 2])),
        product(2, image="no base64!"),
        product(4, image=""),
        product(5, image=encoded(b"%PDF-1.7 named .jpg")),
        product(6, productDisplayName="  "),
        product(7, year=20260),
        product(8, reference=" a"),
        product(9, reference=""),
        product(10, reference="a\x00b"),
        product(11, image=encoded(b"x" * (8 * 2**20 + 1))),
    ]
    results = written(curator, *broken[:5], product(3), *broken[5:])
    assert [result["index"] for result in results] == list(range(11))
    assert [result["state"] for result in results] == ["refused"] * 5 + ["created"] + ["refused"] * 5
    codes = [result["error"]["code"] for result in results if result["error"]]
    assert codes == ["api.image_invalid"] * 4 + ["api.argument_invalid"] * 5 + ["api.image_invalid"]
    assert all(result["error"]["message"] and result["error"]["hint"] for result in results if result["error"])
    assert [own.reference for own in parts.own.own] == ["a-3"]
    assert list(parts.bucket.objects.values()) == [whole]


def test_sending_again_changes_nothing_and_costs_no_encoding(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1))
    (again,) = written(curator, product(1))
    assert (again["state"], again["product"]) == ("unchanged", first["product"])
    assert encodings(parts) == 1


def test_a_known_reference_with_other_values_is_updated(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1))
    (other,) = written(curator, product(1, baseColour="Red", image=encoded(picture_of(2))))
    assert (other["state"], other["product"]["id"]) == ("updated", first["product"]["id"])
    # The picture that nobody shows any more is gone.
    assert list(parts.bucket.objects.values()) == [picture_of(2)]


def test_what_is_there_already_can_be_asked_for(curator: TestClient) -> None:
    (first,) = written(curator, product(1))
    (known,) = asked(curator, OWN, references=["a-1", "a-2"])["data"]["ownProducts"]
    digest = hashlib.sha256(picture_of(1)).hexdigest()
    assert known == {"reference": "a-1", "imageSha256": digest, "product": {"id": first["product"]["id"]}}


def test_given_values_are_changed_and_others_stay(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1, baseColour="Red", gender="Women", year=2020))
    number = first["product"]["id"]
    changes = {"baseColour": "Teal", "year": None, "productDisplayName": "Boreal Men Shirt"}
    result = asked(curator, UPDATE, id=number, changes=changes)["data"]["updateProduct"]
    assert result == {
        "state": "updated",
        "product": {
            "id": number, "baseColour": "Teal", "gender": "Women", "year": None, "brand": "Boreal",
            "productDisplayName": "Boreal Men Shirt", "s3Path": first["product"]["s3Path"],
        },
    }  # fmt: skip
    assert asked(curator, UPDATE, id=number, changes=changes)["data"]["updateProduct"]["state"] == "unchanged"
    assert encodings(parts) == 1


def test_another_picture_takes_the_place_of_the_old_one(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1))
    changes = {"image": encoded(picture_of(2))}
    result = asked(curator, UPDATE, id=first["product"]["id"], changes=changes)["data"]["updateProduct"]
    assert result["state"] == "updated"
    assert result["product"]["s3Path"] != first["product"]["s3Path"]
    assert list(parts.bucket.objects.values()) == [picture_of(2)]
    assert curator.get(f"/files/{first['product']['id']}/image").content == picture_of(2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"productDisplayName": None}, "api.argument_invalid"),
        ({"image": None}, "api.image_invalid"),
        ({"image": encoded(b"GIF89a")}, "api.image_invalid"),
        ({"year": 12}, "api.argument_invalid"),
        ({"owner": "boreal"}, "api.query_invalid"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(curator: TestClient, changes: Any, code: str) -> None:
    (first,) = written(curator, product(1))
    assert refusal(asked(curator, UPDATE, id=first["product"]["id"], changes=changes)) == code


def test_a_deleted_product_is_gone_with_its_picture(curator: TestClient, parts: Parts) -> None:
    first, second = written(curator, product(1), product(2, image=encoded(picture_of(1))))
    deleted = asked(curator, DELETE, id=first["product"]["id"])["data"]["deleteProduct"]
    assert deleted == {"id": first["product"]["id"], "productDisplayName": "Aurora Women Top 1"}
    assert list(parts.bucket.objects.values()) == [picture_of(1)]
    asked(curator, DELETE, id=second["product"]["id"])
    assert (parts.bucket.objects, parts.own.own) == ({}, [])
    assert refusal(asked(curator, DELETE, id=second["product"]["id"])) == "api.not_found"


def test_a_product_is_deleted_even_if_its_picture_cannot_be(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1))
    parts.bucket.is_down = True
    assert asked(curator, DELETE, id=first["product"]["id"])["data"]["deleteProduct"]["id"] == first["product"]["id"]
    assert parts.own.own == []


def test_a_curator_touches_neither_another_clients_products_nor_the_catalogues(
    curator: TestClient, parts: Parts
) -> None:
    token = parts.tokens.issue("sol", ["curator"], client="boreal")
    theirs = {"Authorization": f"Bearer {token}"}
    body = {"query": CREATE, "variables": {"products": [product(1)]}}
    answer = curator.post("/graphql", json=body, headers=theirs).json()
    foreign = answer["data"]["createProducts"][0]["product"]["id"]
    before = list(parts.files.rows)
    for number in (foreign, 7):
        assert refusal(asked(curator, UPDATE, id=number, changes={"baseColour": "Red"})) == "api.not_found"
        assert refusal(asked(curator, DELETE, id=number)) == "api.not_found"
    assert asked(curator, OWN, references=["a-1"])["data"]["ownProducts"] == []
    assert parts.files.rows == before
    # The same reference is the other client's own affair.
    assert written(curator, product(1))[0]["state"] == "created"


@pytest.mark.parametrize("roles", [["reader"], ["operator", "admin", "reader"]])
def test_nobody_but_a_curator_writes(client: TestClient, parts: Parts, roles: list[str]) -> None:
    client.headers["Authorization"] = f"Bearer {parts.tokens.issue('ana', roles)}"
    for query, variables in (
        (CREATE, {"products": [product(1)]}),
        (UPDATE, {"id": 7, "changes": {"baseColour": "Red"}}),
        (DELETE, {"id": 7}),
        (OWN, {"references": ["a-1"]}),
    ):
        assert refusal(asked(client, query, **variables)) == "security.forbidden"
    assert parts.own.own == []


def test_a_curator_reads_like_everybody(curator: TestClient) -> None:
    assert len(asked(curator, "{ allFiles(limit: 5) { id } }")["data"]["allFiles"]) == 5


@pytest.mark.parametrize("number", [0, 51])
def test_a_call_has_one_to_fifty_products(curator: TestClient, number: int) -> None:
    products = [product(1, image="", reference=f"r{n}") for n in range(number)]
    assert refusal(asked(curator, CREATE, products=products)) == "api.argument_invalid"
    references = [f"r{n}" for n in range(number)]
    assert refusal(asked(curator, OWN, references=references)) == "api.argument_invalid"


def test_a_part_that_fails_fails_the_call_and_writes_nothing(curator: TestClient, parts: Parts) -> None:
    parts.bucket.is_down = True
    answer = curator.post("/graphql", json={"query": CREATE, "variables": {"products": [product(1)]}})
    assert refusal(answer.json()) == "api.unavailable"
    assert "secret-host" not in answer.text
    assert parts.own.own == []


def test_only_a_curator_may_send_more_than_a_query(curator: TestClient, client: TestClient) -> None:
    padded = {"query": "{ allFiles(limit: 1) { id } }", "variables": {"unused": "x" * 2**20}}
    assert curator.post("/graphql", json=padded).status_code == 200
    assert client.post("/graphql", json=padded).status_code == 413
    assert client.post("/graphql", json=padded, headers={"Authorization": "Bearer a.b.c"}).status_code == 401
    padded["variables"] = {"unused": "x" * (16 * 2**20 + 1)}
    assert curator.post("/graphql", json=padded).status_code == 413


def test_a_picture_in_the_document_itself_is_refused(curator: TestClient) -> None:
    document = f'mutation {{ createProducts(products: [{{image: "{"A" * 300_000}"}}]) {{ state }} }}'
    answer = curator.post("/graphql", json={"query": document})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.query_rejected")


def test_a_log_in_as_a_curator_writes_for_its_client(anonymous: TestClient, parts: Parts) -> None:
    parts.files.put_user("luz", PASSWORD_HASH, ["curator"], client="cobre")
    form = {"username": "luz", "password": PASSWORD}
    token = anonymous.post("/auth/token", data=form).json()["access_token"]
    anonymous.headers["Authorization"] = f"Bearer {token}"
    assert written(anonymous, product(1))[0]["product"]["owner"] == "cobre"


UNPUBLISHED = "query ($after: Int!) { unpublishedProducts(after: $after) { reference product { id origin imageUrl } } }"
PUBLISH = "mutation ($id: Int!) { publishProduct(id: $id) { state product { id origin } } }"


def is_shown(client: TestClient, number: int) -> bool:
    return asked(client, "query ($id: Int!) { file(id: $id) { id } }", id=number)["data"]["file"] is not None


def test_what_is_not_published_is_its_clients_alone(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1, publish=False))
    number = first["product"]["id"]
    assert (first["state"], first["product"]["origin"]) == ("created", "unpublished")
    assert not is_shown(curator, number)
    (own,) = asked(curator, UNPUBLISHED, after=0)["data"]["unpublishedProducts"]
    assert own == {"reference": "a-1", "product": {"id": number, "origin": "unpublished", "imageUrl": None}}
    assert asked(curator, UNPUBLISHED, after=number)["data"]["unpublishedProducts"] == []
    assert asked(curator, OWN, references=["a-1"])["data"]["ownProducts"][0]["product"] == {"id": number}
    assert curator.get(f"/files/{number}/image").status_code == 404
    assert encodings(parts) == 0

    curator.headers["Authorization"] = f"Bearer {parts.tokens.issue('sol', ['curator'], client='boreal')}"
    assert asked(curator, UNPUBLISHED, after=0)["data"]["unpublishedProducts"] == []
    for query, variables in ((UPDATE, {"changes": {"baseColour": "Red"}}), (DELETE, {}), (PUBLISH, {})):
        assert refusal(asked(curator, query, id=number, **variables)) == "api.not_found"


def test_an_unpublished_product_is_changed_published_and_found(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1, publish=False))
    number = first["product"]["id"]
    assert written(curator, product(1, publish=False))[0]["state"] == "unchanged"
    changes = {"baseColour": "Teal", "image": encoded(picture_of(2))}
    assert asked(curator, UPDATE, id=number, changes=changes)["data"]["updateProduct"]["state"] == "updated"
    assert list(parts.bucket.objects.values()) == [picture_of(2)]
    published = asked(curator, PUBLISH, id=number)["data"]["publishProduct"]
    assert published == {"state": "published", "product": {"id": number, "origin": "curator"}}
    assert is_shown(curator, number)
    assert refusal(asked(curator, PUBLISH, id=number)) == "api.not_found"
    # What others have seen is not hidden again by writing it anew.
    (again,) = written(curator, product(1, publish=False, image=encoded(picture_of(3))))
    assert (again["state"], again["error"]["code"]) == ("refused", "api.argument_invalid")
    assert list(parts.bucket.objects.values()) == [picture_of(2)]


def test_writing_an_unpublished_product_for_all_to_see_publishes_it_under_its_id(
    curator: TestClient, parts: Parts
) -> None:
    (first,) = written(curator, product(1, publish=False))
    (second,) = written(curator, product(1))
    assert (second["state"], second["product"]["id"]) == ("published", first["product"]["id"])
    assert parts.own.unpublished == []


def test_an_unpublished_product_is_deleted_with_its_picture(curator: TestClient, parts: Parts) -> None:
    (first,) = written(curator, product(1, publish=False))
    asked(curator, DELETE, id=first["product"]["id"])
    assert (parts.own.unpublished, parts.bucket.objects) == ([], {})
