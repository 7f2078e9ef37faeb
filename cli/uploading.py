"""Sends a folder of products to the API as a client's curator: what is there already is not sent again."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from api.body import MAX_IMAGE_BYTES
from catalog.cleaning import plain_text, year_of
from catalog.product import ATTRIBUTES
from catalog.sources import RawRow
from core.progress import Progress

STAGE = "uploading"
AT_ONCE = 50
BYTES_AT_ONCE = 10 * 2**20
"""Of pictures in one call; base64 makes a third more of them, and the API takes 16 MiB of a curator."""
FIELDS = {name: "".join(part.capitalize() if place else part for place, part in enumerate(name.split("_")))
          for name in (*ATTRIBUTES, "year", "product_display_name")}  # fmt: skip
"""Our column → the API's name."""
KNOWN = f"""query ($references: [String!]!) {{ ownProducts(references: $references) {{
    reference imageSha256 product {{ origin {" ".join(FIELDS.values())} }} }} }}"""
WRITE = """mutation ($products: [ProductInput!]!) { createProducts(products: $products) {
    reference state error { code message hint } } }"""
STATES = ("created", "updated", "published", "unchanged", "refused")


class Api(Protocol):
    """What is needed of `cli.api.SearchApi`."""

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or mutation."""


def upload(
    api: Api, rows: Iterable[RawRow], *, total: int | None, progress: Progress, publish: bool = True
) -> dict[str, Any]:
    """Write every row; the row's id is its reference.

    Args:
        api: signed in as the curator.
        rows: of the folder.
        total: how many there are, if that is known.
        progress: told after each call.
        publish: whether others see them from now on; what was not published before is published then.

    Returns:
        ``products`` by what became of them (`STATES`), and those ``refused``, each with its row's number, its reference
        and the error.
    """
    states: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []
    progress.update(STAGE, 0, total)
    for batch in _batches(rows):
        for row, result in _written(api, batch, publish):
            states[result["state"]] += 1
            if result["error"]:
                refused.append({"row": row.row, "reference": row.id, **result["error"]})
        progress.update(STAGE, sum(states.values()), total, f"{len(refused)} refused" if refused else "")
    products = {state: states[state] for state in STATES}
    return {"products": products, "refused": refused}


def _written(api: Api, batch: list[RawRow], publish: bool) -> Iterator[tuple[RawRow, dict[str, Any]]]:
    references = [row.id for row in batch if row.id]
    answer = api.ask(KNOWN, references=references)["ownProducts"] if references else []
    known = {own["reference"]: {**own["product"], "imageSha256": own["imageSha256"]} for own in answer}
    is_shown = {reference: product.pop("origin") != "unpublished" for reference, product in known.items()}
    changed = []
    for row in batch:
        if row.image and known.get(row.id) == _content(row) and is_shown.get(row.id) == publish:
            yield row, {"state": "unchanged", "error": None}
        elif len(row.image or b"") > MAX_IMAGE_BYTES:
            yield row, {"state": "refused", "error": _too_large(row.image or b"")}
        else:
            changed.append(row)
    if changed:
        results = api.ask(WRITE, products=[_input(row) | {"publish": publish} for row in changed])["createProducts"]
        yield from zip(changed, results, strict=True)


def _content(row: RawRow) -> dict[str, Any]:
    """The row as the API would show it, had it been written."""
    texts = {FIELDS[name]: plain_text(getattr(row, name)) for name in (*ATTRIBUTES, "product_display_name")}
    return {**texts, "year": year_of(row.year), "imageSha256": hashlib.sha256(row.image or b"").hexdigest()}


def _input(row: RawRow) -> dict[str, Any]:
    values = {name: value for name, value in _content(row).items() if name != "imageSha256"}
    title, image = values["productDisplayName"] or "", base64.b64encode(row.image or b"").decode()
    return {**values, "reference": row.id or "", "productDisplayName": title, "image": image}


def _too_large(image: bytes) -> dict[str, str]:
    message = f"The picture has {len(image):,} bytes."
    return {"code": "api.image_invalid", "message": message, "hint": f"Send 1 to {MAX_IMAGE_BYTES:,} bytes."}


def _batches(rows: Iterable[RawRow]) -> Iterator[list[RawRow]]:
    """Rows that fit into one call."""
    batch: list[RawRow] = []
    size = 0
    for row in rows:
        held = len(row.image or b"")
        if batch and (len(batch) == AT_ONCE or size + held > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += held
    if batch:
        yield batch
