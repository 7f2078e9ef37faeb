from __future__ import annotations

import dataclasses
import hashlib
import io
import os
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
from clients.carried import KEPT_RUNS, Carried, CarryFolder
from clients.dataset import Dataset, open_dataset
from clients.description import describe
from clients.errors import BaseMismatch, ClientMisconfigured, PartitionStale, SimulatedCrash
from clients.learning import Contribution, Learner, Task
from core.settings import Settings
from federation.presets import load_preset
from federation.wire import from_record, to_record, unpack
from tests.models import tiny_config, tiny_state

torch.set_num_threads(1)

PRESET = load_preset("tiny")
CONFIG = tiny_config(local_epochs=1)
TASK = Task(run="run-1", config=CONFIG, round=1, attempt=1, catalogue_version="v1", base_hash=PRESET.base_hash)
START = tiny_state()


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


def learn(dataset: Dataset, task: Task, *, features_dir: Path) -> Contribution:
    return Learner(dataset, task, features_dir=features_dir).learn(START)


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
    first, again = (learn(dataset(root), TASK, features_dir=root / "cache") for _ in range(2))
    assert first.examples == 8
    for name, array in START.items():
        assert first.delta[name].shape == array.shape
        np.testing.assert_array_equal(first.delta[name], again.delta[name])
    other = learn(dataset(root), dataclasses.replace(TASK, round=2), features_dir=root / "cache")
    assert not np.array_equal(other.delta["heads.image.weight"], first.delta["heads.image.weight"])


def test_features_are_cached_per_client(root: Path) -> None:
    learn(dataset(root, 0), TASK, features_dir=root / "cache")
    assert [path.name for path in (root / "cache").iterdir()] == ["aurora"]


def test_other_base_or_other_catalogue_is_refused(root: Path) -> None:
    with pytest.raises(BaseMismatch):
        learn(dataset(root), dataclasses.replace(TASK, base_hash="0" * 64), features_dir=root / "cache")
    with pytest.raises(PartitionStale, match="v1"):
        learn(dataset(root), dataclasses.replace(TASK, catalogue_version="v2"), features_dir=root / "cache")


def asked(kind: str, content: RecordDict, root: Path, monkeypatch: pytest.MonkeyPatch) -> Message:
    """The real ClientApp's reply to one message."""
    monkeypatch.setenv("TEJIDO_SIMULATION_DIR", str(root))
    monkeypatch.setenv("TEJIDO_CACHE_DIR", str(root / "cache"))
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    context = Context(run_id=1, node_id=1, node_config={"partition-id": 1}, state=RecordDict(), run_config={})
    message = Message(content, dst_node_id=1, message_type=kind, group_id="1")
    return app(message, context)


def training(**changes: str | int | float) -> RecordDict:
    about: dict[str, str | int | float] = {
        "run": "run-1",
        "round": 1,
        "attempt": 1,
        "catalogue-version": "v1",
        "base-hash": PRESET.base_hash,
    }
    values = {**CONFIG.to_run_config(), **about, **changes}
    return RecordDict({"arrays": to_record(START), "config": ConfigRecord(dict(values))})


def test_client_app_answers_a_round_with_delta_examples_and_loss(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = asked(MessageType.TRAIN, training(), root, monkeypatch)
    delta = from_record(reply.content.array_records["arrays"], like=START)
    assert np.abs(delta["heads.image.weight"]).max() > 0
    metrics = reply.content.metric_records["metrics"]
    assert (metrics["num-examples"], metrics["held"]) == (6, 6)
    receipt = reply.content.config_records["receipt"]
    assert [receipt[key] for key in ("run", "round", "attempt", "encoding")] == ["run-1", 1, 1, "fp32"]
    assert receipt["base-hash"] == PRESET.base_hash


@pytest.mark.parametrize("encoding", ["fp16", "int8"])
def test_what_an_encoding_left_out_is_kept_for_the_next_round(
    encoding: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(MessageType.TRAIN, training(encoding=encoding), root, monkeypatch)
    residual = CarryFolder(root / "cache", owner="boreal", run="run-1").before(2).residual
    assert 0 < np.abs(residual["heads.image.weight"]).max() < 1e-2


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "int8"])
def test_client_in_a_private_run_sends_no_more_than_the_clip_norm_in_any_round(
    encoding: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learns about a hundred times that much; from the second round on, what an encoding left out comes on top."""
    private: dict[str, str | int | float] = {"privacy": "client-level", "clip-norm": 0.001, "encoding": encoding}
    for number in (1, 2, 3):
        reply = asked(MessageType.TRAIN, training(round=number, **private), root, monkeypatch)
        sent = unpack(reply.content.array_records["arrays"], like=START, encoding=encoding)
        decoded = np.concatenate([array.ravel().astype(np.float64) for array in sent.decode().values()])
        assert 0.00099 < np.linalg.norm(decoded) <= 0.001
    free = asked(MessageType.TRAIN, training(encoding=encoding), root, monkeypatch)
    assert unpack(free.content.array_records["arrays"], like=START, encoding=encoding).norm() > 0.01


def test_optimiser_goes_on_from_the_round_before_where_the_run_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second_round(state: str, run: str) -> np.ndarray:
        for number in (1, 2):
            question = training(run=run, round=number, **{"optimiser-state": state})
            reply = asked(MessageType.TRAIN, question, root, monkeypatch)
        return from_record(reply.content.array_records["arrays"], like=START)["heads.image.weight"]

    def steps(run: str, before: int) -> float:
        carried = CarryFolder(root / "cache", owner="boreal", run=run).before(before)
        return float(carried.moments["step/heads.log_scale"])

    kept, again, fresh = second_round("kept", "run-1"), second_round("kept", "run-2"), second_round("fresh", "run-3")
    np.testing.assert_array_equal(kept, again)
    assert not np.array_equal(kept, fresh)
    assert steps("run-1", before=3) == 2 * steps("run-1", before=2)
    assert CarryFolder(root / "cache", owner="boreal", run="run-3").before(3) == Carried()


def test_client_tells_what_it_could_not_train_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(root / "client-boreal")
    products = [product(i) for i in range(6)]
    products[2] = dataclasses.replace(products[2], image=b"torn", image_sha256="0" * 64)
    shards = write_shards(store, "partitions/v2", products)
    store.put("manifest.json", ClientManifest("v1", tuple(shards), 6).to_json())
    reply = asked(MessageType.TRAIN, training(), root, monkeypatch)
    metrics, receipt = reply.content.metric_records["metrics"], reply.content.config_records["receipt"]
    assert (metrics["num-examples"], metrics["held"]) == (5, 6)
    assert (receipt["skipped-reasons"], receipt["skipped-counts"]) == (["picture cannot be read"], [1])


def test_round_that_is_repeated_finds_what_there_was_before_its_first_attempt(tmp_path: Path) -> None:
    folder = CarryFolder(tmp_path, owner="aurora", run="scheduled__2026-11-24T00:00:00+00:00")
    assert folder.before(1) == Carried()
    for number in (1, 2, 3, 4, 5):
        residual, moment = np.full(2, number, np.float32), np.full((), 10 * number, np.float32)
        folder.save(number, Carried({"x": residual}, {"step/x": moment}))
    for number, expected in ((6, 5), (5, 4), (4, 3)):
        found = folder.before(number)
        assert (float(found.residual["x"][0]), float(found.moments["step/x"])) == (expected, 10 * expected)
    assert CarryFolder(tmp_path, owner="aurora", run="../other").before(9) == Carried()


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


def test_simulated_attacker_sends_the_opposite_of_what_it_learned(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = asked(MessageType.TRAIN, training(), root, monkeypatch)
    monkeypatch.setenv("TEJIDO_SIMULATION_FAULTS", '{"attackers": ["boreal"], "attack": "sign_flip"}')
    attacked = asked(MessageType.TRAIN, training(), root, monkeypatch)
    sent, learned = (from_record(r.content.array_records["arrays"], like=START) for r in (attacked, honest))
    for name in START:
        np.testing.assert_array_equal(sent[name], -learned[name])
    assert attacked.content.config_records["receipt"] == honest.content.config_records["receipt"]


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "int8"])
def test_simulated_attacker_can_send_what_is_not_a_number(
    encoding: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEJIDO_SIMULATION_FAULTS", '{"attackers": ["boreal"], "attack": "nan"}')
    reply = asked(MessageType.TRAIN, training(encoding=encoding), root, monkeypatch)
    sent = unpack(reply.content.array_records["arrays"], like=START, encoding=encoding)
    assert np.isnan(sent.norm())


def test_simulated_dropout_reaches_the_coordinator_as_an_error_not_as_a_refusal(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEJIDO_SIMULATION_FAULTS", '{"dropout": 0.999999}')
    with pytest.raises(SimulatedCrash, match="boreal drops out of round 1"):
        asked(MessageType.TRAIN, training(), root, monkeypatch)


def test_what_is_carried_through_old_runs_does_not_fill_the_client_s_disk(tmp_path: Path) -> None:
    for number in range(KEPT_RUNS + 2):
        CarryFolder(tmp_path, owner="aurora", run=f"run-{number}").save(1, Carried({"x": np.zeros(2, np.float32)}))
        folder = tmp_path / "aurora" / "carried" / f"run-{number}"
        os.utime(folder, (number, number))
    left = sorted(path.name for path in (tmp_path / "aurora" / "carried").iterdir())
    assert left == [f"run-{number}" for number in range(2, KEPT_RUNS + 2)]
