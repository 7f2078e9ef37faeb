from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from PIL import Image

from catalog.manifest import ClientManifest
from catalog.objects import DirectoryStore
from catalog.product import Product
from catalog.shards import write_shards
from clients.app import app
from clients.dataset import Dataset, open_dataset
from clients.description import describe
from clients.errors import BaseMismatch, ClientMisconfigured, PartitionStale
from clients.learning import Task, learn
from core.settings import Settings
from federation.config import FederationConfig
from federation.heads import initial_tensors
from federation.presets import load_preset
from federation.wire import from_record, to_record

torch.set_num_threads(1)

PRESET = load_preset("tiny")
CONFIG = FederationConfig(preset="tiny", local_epochs=1)
TASK = Task(CONFIG, 1, "v1", PRESET.base_hash)
START = initial_tensors(PRESET, seed=0)


def product(number: int) -> Product:
    stream = io.BytesIO()
    Image.new("RGB", (12, 16), (number * 9 % 255, 40, 90)).save(stream, "PNG")
    image = stream.getvalue()
    digest = hashlib.sha256(image).hexdigest()
    return Product(
        id=number,
        filename=f"{number}.png",
        gender=None,
        master_category=None,
        sub_category=None,
        article_type=None,
        base_colour=None,
        season=None,
        year=None,
        usage=None,
        product_display_name=f"Product {number}",
        image=image,
        image_sha256=digest,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A simulation's folder with two clients."""
    for name, count in (("aurora", 8), ("boreal", 6)):
        store = DirectoryStore(tmp_path / f"client-{name}")
        shards = write_shards(store, "partitions/v1", [product(i) for i in range(count)])
        store.put("manifest.json", ClientManifest("v1", tuple(shards), count).to_json())
    return tmp_path


def dataset(root: Path, partition: int = 0) -> Dataset:
    return open_dataset(Settings(_env_file=None, simulation_dir=root), partition=partition)


def test_virtual_clients_get_one_folder_each(root: Path) -> None:
    assert [dataset(root, i).client for i in (0, 1)] == ["aurora", "boreal"]
    assert len(list(dataset(root, 1).products())) == 6


def test_process_that_serves_nobody_says_what_to_set(root: Path) -> None:
    with pytest.raises(ClientMisconfigured, match="TEJIDO_CLIENT_NAME"):
        open_dataset(Settings(_env_file=None), partition=0)
    with pytest.raises(ClientMisconfigured):
        open_dataset(Settings(_env_file=None, simulation_dir=root), partition=None)


def test_description_holds_what_the_coordinator_must_know_and_no_product(root: Path) -> None:
    found = dataclasses.asdict(describe(dataset(root), "tiny"))
    assert found == {"client": "aurora", "products": 8, "catalogue_version": "v1", "base_hash": PRESET.base_hash}


def test_delta_has_the_heads_shapes_and_is_the_same_when_a_round_is_repeated(root: Path) -> None:
    first, again = (learn(dataset(root), START, TASK, features_dir=root / "cache") for _ in range(2))
    assert first.examples == 8
    for name, array in START.items():
        assert first.delta[name].shape == array.shape
        np.testing.assert_array_equal(first.delta[name], again.delta[name])
    other = learn(dataset(root), START, dataclasses.replace(TASK, round=2), features_dir=root / "cache")
    assert not np.array_equal(other.delta["image.weight"], first.delta["image.weight"])


def test_features_are_cached_per_client(root: Path) -> None:
    learn(dataset(root, 0), START, TASK, features_dir=root / "cache")
    assert [path.name for path in (root / "cache").iterdir()] == ["aurora"]


def test_other_base_or_other_catalogue_is_refused(root: Path) -> None:
    with pytest.raises(BaseMismatch):
        learn(dataset(root), START, dataclasses.replace(TASK, base_hash="0" * 64), features_dir=root / "cache")
    with pytest.raises(PartitionStale, match="v1"):
        learn(dataset(root), START, dataclasses.replace(TASK, catalogue_version="v2"), features_dir=root / "cache")


def asked(kind: str, content: RecordDict, root: Path, monkeypatch: pytest.MonkeyPatch) -> Message:
    """The real ClientApp's reply to one message."""
    monkeypatch.setenv("TEJIDO_SIMULATION_DIR", str(root))
    monkeypatch.setenv("TEJIDO_CACHE_DIR", str(root / "cache"))
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    context = Context(run_id=1, node_id=1, node_config={"partition-id": 1}, state=RecordDict(), run_config={})
    message = Message(content, dst_node_id=1, message_type=kind, group_id="1")
    return app(message, context)


def training(**changes: str) -> RecordDict:
    values = {**CONFIG.to_run_config(), "round": 1, "catalogue-version": "v1", "base-hash": PRESET.base_hash, **changes}
    return RecordDict({"arrays": to_record(START), "config": ConfigRecord(dict(values))})


def test_client_app_answers_a_round_with_delta_examples_and_loss(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = asked(MessageType.TRAIN, training(), root, monkeypatch)
    delta = from_record(reply.content.array_records["arrays"], like=START)
    assert np.abs(delta["image.weight"]).max() > 0
    assert reply.content.metric_records["metrics"]["num-examples"] == 6


def test_client_app_answers_the_preflight(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = RecordDict({"config": ConfigRecord({"preset": "tiny"})})
    reply = asked(MessageType.QUERY, question, root, monkeypatch)
    assert reply.content.config_records["description"]["client"] == "boreal"


def test_known_error_becomes_a_refusal_that_the_coordinator_can_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = asked(MessageType.TRAIN, training(**{"catalogue-version": "v2"}), root, monkeypatch)
    assert not reply.has_error()
    assert reply.content.config_records["refusal"]["code"] == "clients.partition_stale"
