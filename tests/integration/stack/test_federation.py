"""The whole learning path on real parts: ETL → SuperLink and SuperNodes → MLflow → promotion → index → search."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.errors import IndexVersionMissing
from catalog.index import IndexStore
from catalog.manifest import client_manifest, live_manifest
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from cli.keys.rotate_artifacts import rotate_artifacts
from clients.contracts import Contracts
from clients.receipts import receipts_of
from core.progress import NoProgress
from core.settings import Settings
from embedded.stack import Stack
from federation.config import FederationConfig
from security.errors import ArtifactRefused
from server.audit import history
from server.checkpoints import RunFolder
from server.comparing import compare
from server.errors import ModelDamaged, ModelMissing, RollbackRefused, RunFailed, RunRefused, RunUnknown
from server.index_status import index_status
from server.index_verification import verify_index
from server.indexing import build_index
from server.lineage import lineage
from server.models import write_model
from server.promotion import promote
from server.rollback import rollback
from server.runs import preflight, resume_federation, run_contracts, run_federation, run_status
from server.sealing import RESIGNED, SEALED
from server.serving import load_champion, load_version
from server.stores import open_stores
from server.tracking import CHAMPION, FEDERATED_EXPERIMENT, Tracker
from tests.integration.stack.shared import CONFIG, PRODUCTS, Recorder
from tests.models import tiny_spec, tiny_state

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CLIENTS = ("aurora", "boreal", "cobre")


def flipped(data: bytes) -> bytes:
    """The same with one bit changed in its midst."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return stack.settings()


@pytest.fixture(scope="module")
def catalogue(shared_catalogue: dict[str, Any]) -> dict[str, Any]:
    return shared_catalogue


@pytest.fixture(scope="module")
def result(shared_run: dict[str, Any]) -> dict[str, Any]:
    return shared_run


def test_run_counts_every_client_in_every_round(result: dict[str, Any]) -> None:
    assert [entry["round"] for entry in result["rounds"]] == [1, 2]
    assert all(entry["replies"] == 3 and entry["rejected"] == 0 for entry in result["rounds"])
    assert all(entry["bytes_up"] > 0 and entry["bytes_down"] > 0 for entry in result["rounds"])


def test_trained_model_finds_more_than_the_untrained_one(result: dict[str, Any]) -> None:
    recall = result["recall_at_10"]
    assert recall["gallery"] == PRODUCTS
    assert recall["challenger"] > recall["zero_shot"] + 0.1


def test_finished_key_gives_its_result_again_without_training(settings: Settings, result: dict[str, Any]) -> None:
    assert run_federation(settings, CONFIG, result["run_id"], NoProgress()) == result


def test_status_tells_the_rounds(settings: Settings, result: dict[str, Any]) -> None:
    status = run_status(settings, result["run_id"])
    assert status["stage"] == "completed"
    assert len(status["rounds"]) == 2
    with pytest.raises(RunUnknown, match="no run"):
        run_status(settings, "never-was")


def test_checkpoint_of_every_round_can_be_read_back(settings: Settings, result: dict[str, Any]) -> None:
    stores = open_stores(settings)
    folder = RunFolder(stores.checkpoints, result["run_id"], stores.seals)
    last = folder.last()
    assert last is not None
    assert last.round == 2
    assert folder.state_after(1).keys() == last.state.keys()
    assert folder.state_sha256(2) == result["final_sha256"]
    assert all(report.coverage["aurora"]["trained"] > 0 for report in last.reports)


def test_flipped_byte_in_a_checkpoint_stops_a_run_that_would_go_on(settings: Settings, result: dict[str, Any]) -> None:
    store, run = open_stores(settings).checkpoints, result["run_id"]
    kept = {key: store.get(key) for key in store.list(f"{run}/")}
    state = next(key for key in kept if "/round-0002.safetensors." in key and key.endswith(SEALED))
    store.put(state, flipped(kept[state]))
    store.delete(f"{run}/result.json")
    try:
        with pytest.raises(RunRefused, match=r"security\.artifact_refused"):
            resume_federation(settings, run, NoProgress())
    finally:
        for key, data in kept.items():
            store.put(key, data)
    assert run_federation(settings, CONFIG, run, NoProgress()) == result


def test_each_client_has_signed_receipts_of_what_it_sent(stack: Stack, result: dict[str, Any]) -> None:
    sent = {name: list(receipts_of(stack.client_settings(name)).read()) for name in CLIENTS}
    of_run = {name: [r for r in found if r["run"] == result["run_id"]] for name, found in sent.items()}
    assert all([receipt["round"] for receipt in found] == [1, 2] for found in of_run.values())
    for number, entry in enumerate(result["rounds"]):
        assert entry["bytes_up"] == sum(found[number]["bytes"] for found in of_run.values())
    assert all(receipt["told"]["num-examples"] > 0 for found in of_run.values() for receipt in found)


def test_operator_and_every_client_hold_the_same_signed_contract(
    stack: Stack, settings: Settings, result: dict[str, Any]
) -> None:
    (ours,) = run_contracts(settings, result["run_id"])["contracts"]
    assert ours["is_signed"]
    assert ours["clients"] == dict.fromkeys(CLIENTS, True)
    terms = ours["contract"]["terms"]
    assert (terms["trainable"], terms["rounds"], terms["mode"]) == ("heads", len(result["rounds"]), "robust")
    for name in CLIENTS:
        signed = {told["sha256"]: told for told in Contracts.of(stack.client_settings(name)).read()}
        assert signed[ours["sha256"]]["contract"] == ours["contract"]
    tracker = Tracker.of(settings)
    tracker.ping()
    logged = tracker._client.list_artifacts(result["mlflow"]["run_id"])
    assert "contract.json" in {file.path for file in logged}


def test_mlflow_has_one_step_a_round_and_a_model_version_without_pickle(
    settings: Settings, result: dict[str, Any], tmp_path: Path
) -> None:
    tracker = Tracker.of(settings)
    metrics = tracker.metrics(result["mlflow"]["run_id"])
    assert metrics["test_recall_at_10"] == pytest.approx(result["recall_at_10"]["challenger"])
    assert metrics["replies"] == 3
    version = tracker.require(result["mlflow"]["version"])
    files = [path.name.split(".") for path in tracker.download(version, tmp_path).iterdir()]
    assert sorted((name[0], name[-1]) for name in files) == [
        ("manifest", "json"), ("model", "key"), ("model", "sealed"), ("model-card", "md"),
        ("trained", "key"), ("trained", "sealed"),
    ]  # fmt: skip


def test_run_is_read_at_each_step_of_a_rotation_and_then_by_the_new_keys_alone(
    settings: Settings, result: dict[str, Any]
) -> None:
    stores, run = open_stores(settings), result["run_id"]
    folder = RunFolder(stores.checkpoints, run, stores.seals)
    signed = {name: stores.checkpoints.get(f"{run}/{name}") for name in ("state.json", "result.json", "result.sig")}
    told = rotate_artifacts(settings, rewrap_only=False, retire=False)
    # The marker and the result of each run.
    assert told["resigned"]["checkpoints"] >= 2
    assert told["resigned"]["models"] >= 1
    assert (folder.last(), folder.believed_result()) != (None, None)
    told = rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert (told["resigned"]["checkpoints"], told["resigned"]["models"]) == (0, 0)
    assert told["distrusted"] >= 1
    assert (last := folder.last()) is not None
    assert last.round == 2
    assert run_federation(settings, CONFIG, run, NoProgress()) == result
    assert {name: stores.checkpoints.get(f"{run}/{name}") for name in signed} == signed
    for name, read in {"state.json": folder.last, "result.json": folder.believed_result}.items():
        later = f"{run}/{name}{RESIGNED}"
        kept = stores.checkpoints.get(later)
        stores.checkpoints.delete(later)
        with pytest.raises(ArtifactRefused, match="whom nobody trusts"):
            read()
        stores.checkpoints.put(later, kept)
        assert read() is not None


def test_preflight_counts_the_clients_online(settings: Settings, catalogue: dict[str, Any]) -> None:
    found = preflight(settings)
    assert found["online"] == 3
    assert [client["name"] for client in found["clients"]] == list(CLIENTS)


def test_client_s_bucket_holds_its_partition_of_the_live_version(stack: Stack, catalogue: dict[str, Any]) -> None:
    own = stack.client_settings("aurora")
    assert own.client_bucket is not None
    manifest = client_manifest(S3ObjectStore(own.platform_bucket(own.client_bucket)))
    assert manifest.version == catalogue["version"]


def test_challenger_becomes_champion_is_indexed_and_answers(settings: Settings, result: dict[str, Any]) -> None:
    promoted = promote(settings)
    assert promoted["promoted"]
    assert promoted["alias"] == CHAMPION
    assert promoted["interval"][0] > 0
    again = promote(settings)
    assert not again["promoted"]
    assert again["version"] == promoted["version"]

    progress = Recorder()
    built = build_index(settings, progress)
    assert progress.stages >= {"encoding", "indexing"}
    assert (built["products"], built["up_to_date"]) == (PRODUCTS, False)
    assert build_index(settings, NoProgress())["up_to_date"]
    assert index_status(settings)["live"] == built["version"]
    measured = verify_index(settings, Recorder(), texts=["black shoes", "red dress"])
    assert (measured["version"], measured["state"]) == (built["version"], "live")
    assert verify_index(settings, NoProgress())["recall"]
    assert all(bucket["recall_at_10"] == 1 and not bucket["short"] for bucket in measured["recall"])
    with pytest.raises(IndexVersionMissing):
        verify_index(settings, NoProgress(), version=4000)

    served = load_champion(settings, settings.features_dir)
    assert served.version == promoted["version"]
    with (
        IndexStore(settings.required("postgres_dsn")) as index,
        CatalogueStore(settings.required("postgres_dsn")) as rows,
    ):
        live = index.live()
        assert live is not None
        encoder = load_version(settings, live).encoder
        answer = index.search(encoder.encode_texts(["black shoes"])[0], 10, version=live.id)
        found = rows.files([hit.product_id for hit in answer.hits])
        assert (
            sum("Shoe" in str(file.article_type) or "shoe" in file.product_display_name.lower() for file in found) >= 3
        )
        with pytest.raises(ModelDamaged):
            load_version(settings, dataclasses.replace(live, model_hash="0" * 64))


def test_every_client_has_its_own_run_whose_traffic_adds_up(settings: Settings, result: dict[str, Any]) -> None:
    tracker = Tracker.of(settings)
    parent = tracker.run(result["mlflow"]["run_id"])
    nested = {run.tags["client"]: run for run in tracker.nested(parent.run_id)}
    assert set(nested) == set(CLIENTS)
    assert {run.status for run in nested.values()} == {"FINISHED"}
    assert all(tracker.steps(run.run_id, "loss") == {1, 2} for run in nested.values())
    assert sum(run.metrics["total_bytes_up"] for run in nested.values()) == parent.metrics["total_bytes_up"]
    assert parent.params["privacy"] == "none"
    assert len(parent.params["data_manifest_sha256"]) == 64
    assert result["mlflow"]["seconds"] > 0


def test_served_answer_leads_back_to_run_data_and_clients(settings: Settings, result: dict[str, Any]) -> None:
    index = index_status(settings)["live"]
    found = lineage(settings, index=index)
    assert found == lineage(settings, version=CHAMPION)
    assert found["model"]["version"] == result["mlflow"]["version"]
    assert [entry["version"] for entry in found["indexes"]] == [index]
    assert (found["run"]["run_id"], found["run"]["run_key"]) == (result["mlflow"]["run_id"], result["run_id"])
    assert found["run"]["code_version"]
    assert (found["data"]["state"], found["data"]["products"]) == ("unchanged", PRODUCTS)
    assert [(client["name"], client["rounds"]["accepted"]) for client in found["clients"]] == [(n, 2) for n in CLIENTS]
    assert not any(client["reasons"] for client in found["clients"])


def test_comparison_with_the_untrained_model_is_kept_where_operators_look(
    settings: Settings, result: dict[str, Any]
) -> None:
    found, page = compare(settings, "zero-shot", CHAMPION)
    recall = found["metrics"][1]
    assert recall["b"] == pytest.approx(result["recall_at_10"]["challenger"])
    assert recall["a"] == pytest.approx(result["recall_at_10"]["zero_shot"])
    assert recall["verdict"] == "better"
    assert found["moved"]["up"]
    assert "data:image/jpeg;base64," in page
    tracker = Tracker.of(settings)
    description = tracker.description(result["mlflow"]["version"])
    assert found["report"]["artifact"] in description.splitlines()[0]
    assert "# fashion-clip" in description
    # MLflow's page of a run, where the link leads, asks by GraphQL.
    login = (settings.mlflow_username, Path(settings.required("mlflow_password_file")).read_text())
    answer = httpx.post(f"{tracker.uri}/graphql", json={"query": "{ __typename }"}, auth=login, timeout=30)
    assert answer.json()["data"] == {"__typename": "Query"}


def test_rollback_brings_model_and_index_back_together_and_is_written_down(
    settings: Settings, result: dict[str, Any], tmp_path: Path
) -> None:
    before = index_status(settings)["live"]
    tracker = Tracker.of(settings)
    run = tracker.start(FEDERATED_EXPERIMENT, "untrained", params={})
    seals = open_stores(settings).seals
    content_hash = write_model(tmp_path, tiny_spec(), tiny_state(), card="For tests.", seals=seals, run=run)
    worse = tracker.register(run, tmp_path, tags={"content_hash": content_hash, "preset": "tiny"})
    with pytest.raises(RollbackRefused):
        rollback(settings, reason="for a test", to=worse)
    assert not promote(settings, version=worse)["promoted"]
    promote(settings, version=worse, override="for a test")
    assert build_index(settings, NoProgress())["model_version"] == worse

    done = rollback(settings, reason="it finds nothing")
    assert (done["version"], done["was"]) == (result["mlflow"]["version"], worse)
    assert (done["index"]["state"], done["index"]["version"]) == ("made live again", before)
    assert build_index(settings, NoProgress())["up_to_date"]
    changes = history(settings)["changes"]
    assert [change["action"] for change in changes] == ["rolled_back", "overridden", "refused", "promoted"]
    assert (changes[0]["from_version"], changes[0]["to_version"]) == (worse, done["version"])
    assert changes[0]["reason"] == "it finds nothing"


def test_version_that_never_was_is_named(settings: Settings, result: dict[str, Any]) -> None:
    with pytest.raises(ModelMissing, match="999"):
        load_champion(settings, settings.features_dir, version="999")


def test_run_that_cannot_meet_its_minimum_ends_with_the_reason(settings: Settings, catalogue: dict[str, Any]) -> None:
    config = FederationConfig(preset="tiny", rounds=1, min_clients=4, wait_s=1.0)
    with pytest.raises(RunFailed, match=r"server\.clients_missing"):
        run_federation(settings, config, f"too-few-{uuid.uuid4().hex[:8]}", NoProgress())
    assert live_manifest(open_stores(settings).data).version == catalogue["version"]
