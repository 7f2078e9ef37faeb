"""A folder on its way to the API: asked first, sent in calls that fit, and every refusal told."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import MAX_GRAPHQL_BYTES, MAX_IMAGE_BYTES, MAX_WRITE_BYTES
from catalog.sources import RawRow
from cli.uploading import BYTES_AT_ONCE, upload
from core.progress import NoProgress

ROW = RawRow(
    row=1, id="1", gender="Women", master_category="Apparel", sub_category=None, article_type="Tops",
    base_colour=" Blue ", season="NA", year="2026.0", usage=None, product_display_name="Aurora  Women Top",
    image=b"picture 1",
)  # fmt: skip


def row(number: int, **changes: Any) -> RawRow:
    return replace(ROW, **{"row": number, "id": str(number), "image": f"picture {number}".encode(), **changes})


@dataclass
class FakeApi:
    """Keeps what is written as the API does, cleaned already, and refuses titles that say so."""

    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    """References of each writing call."""
    largest: int = 0

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        if "ownProducts" in query:
            known = [reference for reference in variables["references"] if reference in self.products]
            return {"ownProducts": [self._own(reference) for reference in known]}
        self.calls.append([product["reference"] for product in variables["products"]])
        self.largest = max(self.largest, sum(len(product["image"]) for product in variables["products"]))
        return {"createProducts": [self._write(product) for product in variables["products"]]}

    def _own(self, reference: str) -> dict[str, Any]:
        product = {name: value for name, value in self.products[reference].items() if name != "image"}
        digest = hashlib.sha256(base64.b64decode(self.products[reference]["image"])).hexdigest()
        return {"reference": product.pop("reference"), "imageSha256": digest, "product": product}

    def _write(self, product: dict[str, Any]) -> dict[str, Any]:
        if "broken" in product["productDisplayName"] or not product["image"]:
            error = {"code": "api.image_invalid", "message": "Broken.", "hint": "Mend it."}
            return {"reference": product["reference"], "state": "refused", "error": error}
        known = self.products.get(product["reference"])
        state = "created"
        if known:
            state = "published" if product["publish"] and known["origin"] == "unpublished" else "updated"
        product["origin"] = "curator" if product.pop("publish") else "unpublished"
        self.products[product["reference"]] = product
        return {"reference": product["reference"], "state": state, "error": None}


def sent(api: FakeApi, *rows: RawRow) -> dict[str, int]:
    products: dict[str, int] = upload(api, rows, total=len(rows), progress=NoProgress())["products"]
    return {state: number for state, number in products.items() if number}


def test_what_is_not_published_is_published_by_sending_it_again() -> None:
    api = FakeApi()
    rows = [row(1), row(2)]
    kept = upload(api, rows, total=2, progress=NoProgress(), publish=False)["products"]
    assert (kept["created"], {product["origin"] for product in api.products.values()}) == (2, {"unpublished"})
    assert upload(api, rows, total=2, progress=NoProgress(), publish=False)["products"]["unchanged"] == 2
    assert sent(api, *rows) == {"published": 2}
    assert sent(api, *rows) == {"unchanged": 2}


def test_what_was_written_is_not_sent_again() -> None:
    api = FakeApi()
    rows = [row(number) for number in range(1, 121)]
    assert sent(api, *rows) == {"created": 120}
    assert [len(call) for call in api.calls] == [50, 50, 20]
    assert sent(api, *rows) == {"unchanged": 120}
    assert len(api.calls) == 3


def test_an_upload_that_broke_off_goes_on_where_it_stopped() -> None:
    api = FakeApi()
    rows = [row(number) for number in range(1, 101)]
    sent(api, *rows[:60])
    assert sent(api, *rows) == {"unchanged": 60, "created": 40}


def test_another_picture_or_another_value_is_sent() -> None:
    api = FakeApi()
    sent(api, row(1), row(2), row(3))
    changed = (row(1, image=b"another"), row(2, base_colour="Red"), row(3))
    assert sent(api, *changed) == {"updated": 2, "unchanged": 1}
    assert api.calls[-1] == ["1", "2"]


def test_refusals_are_told_with_their_rows_and_the_rest_goes_on() -> None:
    api = FakeApi()
    rows = [row(1), row(2, product_display_name="broken"), row(3, image=None), row(4, id=None), row(5)]
    result = upload(api, rows, total=5, progress=NoProgress())
    assert result["products"] == {"created": 3, "updated": 0, "published": 0, "unchanged": 0, "refused": 2}
    assert [(refused["row"], refused["reference"], refused["code"]) for refused in result["refused"]] == [
        (2, "2", "api.image_invalid"),
        (3, "3", "api.image_invalid"),
    ]


def test_pictures_are_sent_in_calls_that_the_api_takes() -> None:
    api = FakeApi()
    big = [row(number, image=bytes([number]) * (MAX_IMAGE_BYTES // 3)) for number in range(1, 8)]
    too_big = row(8, image=b"x" * (MAX_IMAGE_BYTES + 1))
    assert sent(api, *big, too_big, row(9)) == {"created": 8, "refused": 1}
    assert max(len(call) for call in api.calls) == 3
    assert api.largest + MAX_GRAPHQL_BYTES <= MAX_WRITE_BYTES
    assert BYTES_AT_ONCE >= MAX_IMAGE_BYTES
