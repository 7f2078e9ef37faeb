"""What a client publishes: by its own word alone, embedded on its own side, page by page."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from PIL import Image

from catalog.manifest import ClientManifest
from catalog.objects import DirectoryStore
from catalog.product import Product
from catalog.published import PICTURES, PUBLICATION_KEY, Offer, checked_offer
from catalog.shards import write_shards
from clients.app import app
from clients.dataset import Dataset, open_dataset
from clients.errors import BaseMismatch, ClientMisconfigured, NotPublishing, PublicationUnreadable, PublicationWithdrawn
from clients.publication import Publication, read_publication, withdraw_pictures, write_publication
from clients.publishing import MAX_PAGE, Page, Request, publish_page
from clients.receipts import Receipts
from core.settings import Settings
from federation.encoder import Encoder
from federation.errors import UpdateRejected
from federation.presets import load_preset
from federation.tensors import Tensors
from federation.wire import to_record
from tests.models import tiny_spec, tiny_state

torch.set_num_threads(1)

SPEC, STATE = tiny_spec(), tiny_state()
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "spec": SPEC.to_json(), "model-hash": "h" * 64, "base-hash": load_preset("tiny").base_hash,
    "page": 0, "page-size": 3,
}  # fmt: skip


def product(number: int) -> Product:
    stream = io.BytesIO()
    Image.new("RGB", (12, 16), (number * 9 % 255, 40, 90)).save(stream, "PNG")
    image = stream.getvalue()
    return Product(
        id=number, filename=f"{number}.png", gender="Women", master_category=None, sub_category=None,
        article_type="Shirts" if number % 2 else "Shoes", base_colour=None, season=None, year=2019, usage=None,
        product_display_name=f"Secret Title {number}", image=image, image_sha256=hashlib.sha256(image).hexdigest(),
    )  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight products, numbered 0 to 7."""
    store = DirectoryStore(tmp_path / "client-aurora")
    shards = write_shards(store, "partitions/v1", [product(i) for i in range(8)])
    store.put("manifest.json", ClientManifest("v1", tuple(shards), 8).to_json())
    return open_dataset(Settings(_env_file=None, simulation_dir=tmp_path), partition=0)


def page_of(dataset: Dataset, tmp_path: Path, now: datetime = NOW, /, **changes: Any) -> Page:
    request = Request.of({**ASKED, **changes})
    return publish_page(dataset, request, to_record(STATE), cache=tmp_path / "cache", now=now)


def test_a_client_that_has_said_nothing_publishes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(NotPublishing, match="publishes nothing"):
        page_of(dataset, tmp_path)
    assert list(dataset.store.list(PICTURES)) == []


def test_pages_hold_each_product_once_with_the_vector_of_its_picture(dataset: Dataset, tmp_path: Path) -> None:
    write_publication(dataset.store, Publication(everything=True))
    pages = [page_of(dataset, tmp_path, page=number) for number in range(3)]
    assert [page.is_last for page in pages] == [False, False, True]
    assert {page.published for page in pages} == {8}
    assert [offer["reference"] for page in pages for offer in page.offers] == list(range(8))
    vectors = np.concatenate([page.vectors for page in pages])
    oracle = Encoder.load(SPEC, STATE).encode_images([product(i).image for i in range(8)])
    np.testing.assert_allclose(vectors, oracle, atol=2e-3)
    assert all(checked_offer(offer) for page in pages for offer in page.offers)


def test_pictures_of_what_is_published_lie_by_themselves_and_no_other(dataset: Dataset, tmp_path: Path) -> None:
    write_publication(dataset.store, Publication(references=(1, 2)))
    page_of(dataset, tmp_path)
    keys = list(dataset.store.list(PICTURES))
    assert keys == [Offer.of(product(n)).picture_key for n in (1, 2)]
    assert dataset.store.get(keys[0]) == product(1).image
    write_publication(dataset.store, Publication(references=(2,)))
    page_of(dataset, tmp_path)
    assert list(dataset.store.list(PICTURES)) == keys[1:]
    assert withdraw_pictures(dataset.store) == 1
    assert list(dataset.store.list(PICTURES)) == []


@pytest.mark.parametrize(
    ("publication", "expected"),
    [
        (Publication(everything=True), set(range(8))),
        (Publication(article_types=("Shoes",)), {0, 2, 4, 6}),
        (Publication(article_types=("Shoes",), references=(1,)), {0, 1, 2, 4, 6}),
        (Publication(references=(99,)), set()),
        (Publication(), set()),
    ],
)
def test_only_what_the_client_names_leaves_it(
    dataset: Dataset, tmp_path: Path, publication: Publication, expected: set[int]
) -> None:
    write_publication(dataset.store, publication)
    # Whatever else the request holds, and however much of it.
    page = page_of(dataset, tmp_path, **{"page-size": MAX_PAGE}, everything=True, references=[7], client="boreal")
    assert {offer["reference"] for offer in page.offers} == expected
    assert len(page.vectors) == len(expected)
    hidden = [f"Secret Title {n}" for n in range(8) if n not in expected]
    assert not [title for title in hidden if title in json.dumps(page.offers)]


def test_a_publication_begins_when_it_says_and_ends_when_it_is_withdrawn(dataset: Dataset, tmp_path: Path) -> None:
    write_publication(dataset.store, Publication(everything=True, begins="2026-11-25T12:00+00:00"))
    with pytest.raises(NotPublishing, match="before 2026-11-25T12:00"):
        page_of(dataset, tmp_path)
    assert page_of(dataset, tmp_path, datetime(2026, 11, 26, tzinfo=UTC)).published == 8
    write_publication(dataset.store, Publication(withdrawn=True))
    with pytest.raises(PublicationWithdrawn):
        page_of(dataset, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "no json", "[]", "3", '{"everything": "yes"}', '{"everything": 1}', '{"references": ["1"]}',
        '{"references": [true]}',
        '{"everything": true, "but_not": ["Shoes"]}', '{"begins": "soon"}', '{"begins": "2026-11-25T12:00"}',
    ],
)  # fmt: skip
def test_a_word_that_cannot_be_understood_publishes_nothing(dataset: Dataset, tmp_path: Path, text: str) -> None:
    dataset.store.put(PUBLICATION_KEY, text.encode())
    with pytest.raises(PublicationUnreadable):
        page_of(dataset, tmp_path)


def test_a_publication_is_read_as_it_was_written(dataset: Dataset) -> None:
    said = Publication(article_types=("Shoes", "Tops"), references=(3, 4), begins="2027-01-01T00:00+01:00")
    write_publication(dataset.store, said)
    assert read_publication(dataset.store) == said
    assert said.revision("v1") != said.revision("v2") != Publication().revision("v2")


def test_a_model_on_other_towers_or_of_other_shapes_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    write_publication(dataset.store, Publication(everything=True))
    with pytest.raises(BaseMismatch):
        page_of(dataset, tmp_path, **{"base-hash": "0" * 64})
    wrong: Tensors = {name: np.zeros((2, 2), np.float32) for name in STATE}
    with pytest.raises(UpdateRejected):
        publish_page(dataset, Request.of(ASKED), to_record(wrong), cache=tmp_path, now=NOW)


@pytest.mark.parametrize(("page", "size"), [(-1, 3), (0, 0), (0, MAX_PAGE + 1), ("0", 3), (True, 3)])
def test_a_page_that_makes_no_sense_is_refused(page: object, size: object) -> None:
    with pytest.raises(ClientMisconfigured):
        Request.of({**ASKED, "page": page, "page-size": size})


def test_a_picture_that_cannot_be_read_is_left_out(dataset: Dataset, tmp_path: Path) -> None:
    products = [product(i) for i in range(2)]
    products.append(dataclasses.replace(product(2), image=b"no picture", image_sha256="0" * 64))
    shards = write_shards(dataset.store, "partitions/v2", products)
    dataset.store.put("manifest.json", ClientManifest("v2", tuple(shards), 3).to_json())
    damaged = open_dataset(Settings(_env_file=None, simulation_dir=tmp_path), partition=0)
    write_publication(damaged.store, Publication(everything=True))
    page = page_of(damaged, tmp_path)
    assert [offer["reference"] for offer in page.offers] == [0, 1]
    assert (page.published, len(page.vectors)) == (3, 2)


def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Message:
    """The real ClientApp's reply."""
    monkeypatch.setenv("TEJIDO_SIMULATION_DIR", str(tmp_path))
    monkeypatch.setenv("TEJIDO_CACHE_DIR", str(tmp_path / "cache"))
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    context = Context(run_id=1, node_id=1, node_config={"partition-id": 0}, state=RecordDict(), run_config={})
    content = RecordDict({"arrays": to_record(STATE), "config": ConfigRecord({**ASKED, **changes})})
    return app(Message(content, dst_node_id=1, message_type="query.publish", group_id="1"), context)


def test_the_client_app_sends_a_page_without_any_picture(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ask(tmp_path, monkeypatch)
    assert refused.content.config_records["refusal"]["code"] == "clients.not_publishing"
    write_publication(dataset.store, Publication(everything=True))
    reply = ask(tmp_path, monkeypatch, page=2)
    told = reply.content.config_records["page"]
    assert (told["is-last"], told["published"], told["page"], told["model-hash"]) == (True, 8, 2, "h" * 64)
    assert [offer["reference"] for offer in json.loads(str(told["products"]))] == [6, 7]
    assert list(reply.content.array_records["arrays"]) == ["vectors"]
    assert reply.content.array_records["arrays"]["vectors"].shape == (2, SPEC.preset.embed_dim)


def test_the_receipt_of_a_page_hashes_what_is_told_of_its_products(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEJIDO_CLIENT_NAME", "aurora")
    write_publication(dataset.store, Publication(everything=True))
    for told in ("h" * 64, "h" * 64, "e" * 64):
        assert "page" in ask(tmp_path, monkeypatch, **{"model-hash": told}).content.config_records
    one, same, other = Receipts(tmp_path / "cache" / "receipts" / "aurora").read()
    # The vectors are the same: only the page's words differ.
    assert one["tensors"] == other["tensors"]
    assert one["records"] == ["arrays", "page"]
    assert one["sha256"] == same["sha256"] != other["sha256"]
