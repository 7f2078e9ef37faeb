"""The API as its users meet it: a real process, a real database, a real cache, real pictures in S3."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from catalog.audit import AuditTrail
from catalog.objects import S3ObjectStore
from core.progress import NoProgress
from security.errors import ArtifactNotSealed, ArtifactRefused
from server.indexing import build_index
from server.models import MANIFEST
from server.sealing import RESIGNED, SEALED, Seals
from server.serving import fetch
from server.tracking import CHAMPION, MODEL, Tracker
from tests.integration.api.stacks import Loaded, ask, make_model_and_index, register_model, signed_in, until_ready

pytestmark = pytest.mark.integration

COMPARE = """{ compareSearch(text: "red dress", versions: ["1", "2"], first: 100) {
  modelVersion indexState hits { rank movedFrom product { id } } } }"""
SEARCH = '{ searchByText(text: "red dress", first: 3) { indexVersion modelVersion } }'
ROOT = Path(__file__).resolve().parents[3]


def tejido(loaded: Loaded, *arguments: str) -> Any:
    """What a command of the platform prints."""
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(loaded.stack.platform_env)}
    command = [str(Path(sys.executable).parent / "tejido"), *arguments, "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_reader_lists_the_catalogue_and_sees_its_pictures(http: httpx.Client) -> None:
    files = ask(http, "{ allFiles(limit: 100) { id productDisplayName s3Path createdAt } }")["allFiles"]
    assert len(files) == 100
    for file in files[::25]:
        picture = http.get(f"/files/{file['id']}/image")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


def test_a_filter_asks_the_database(http: httpx.Client) -> None:
    (first,) = ask(http, "{ allFiles(limit: 1) { baseColour gender } }")["allFiles"]
    query = "query ($c: String, $g: String) { filesByFilters(baseColour: $c, gender: $g) { baseColour gender } }"
    found = ask(http, query, c=first["baseColour"], g=first["gender"])["filesByFilters"]
    assert found
    assert all(file == first for file in found)


def test_without_an_index_the_process_says_what_it_waits_for(http: httpx.Client) -> None:
    answer = http.get("/readyz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert parts["database"]["ready"]
    assert parts["cache"]["ready"]
    assert parts["search"] == {"ready": False, "missing": "no index is live"}


def test_the_process_is_small_until_it_has_a_model(loaded: Loaded, http: httpx.Client) -> None:
    ask(http, "{ allFiles(limit: 1) { id } }")
    process = psutil.Process(loaded.stack.pids["api"])
    assert process.memory_info().rss < 300 * 2**20


def test_logins_are_counted_in_valkey(http: httpx.Client) -> None:
    statuses = [http.post("/auth/token", data={"username": "bea", "password": "wrong"}).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_the_process_loads_the_model_of_the_index_and_searches_with_it(loaded: Loaded, http: httpx.Client) -> None:
    made = make_model_and_index(loaded.settings)
    until_ready(http)
    page = "{ indexVersion modelVersion exact edges { score node { id } } }"
    by_text = f"query ($t: String!) {{ searchByText(text: $t, first: 5) {page} }}"
    answer = ask(http, by_text, t="red dress")["searchByText"]
    assert (answer["indexVersion"], answer["modelVersion"], answer["exact"]) == (made.index, made.version, True)
    scores = [edge["score"] for edge in answer["edges"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert ask(http, by_text, t="red dress")["searchByText"] == answer
    (file,) = ask(http, "{ allFiles(limit: 1, offset: 7) { id } }")["allFiles"]
    picture = base64.b64encode(http.get(f"/files/{file['id']}/image").content).decode()
    by_image = f"query ($i: String!) {{ searchByImage(image: $i, first: 3) {page} }}"
    assert ask(http, by_image, i=picture)["searchByImage"]["edges"][0]["score"] == pytest.approx(1, abs=0.01)


def test_the_log_says_that_something_was_looked_for_but_not_what(loaded: Loaded, http: httpx.Client) -> None:
    assert http.get("/v1/search", params={"text": "unmistakable words"}).is_success
    assert ask(http, '{ searchByText(text: "unmistakable words") { route } }')
    log = (loaded.stack.state.logs / "api.log").read_text()
    assert "/v1/search" in log
    assert "unmistakable" not in log


def test_counts_and_what_is_like_a_product_are_of_the_whole_catalogue(loaded: Loaded, http: httpx.Client) -> None:
    query = """query ($id: Int!) { similarTo(id: $id, first: 5) {
        totalCount edges { node { id } } facets { attribute values { value products } } } }"""
    files = ask(http, "{ allFiles(limit: 100) { id articleType } }")["allFiles"]
    files += ask(http, "{ allFiles(limit: 100, offset: 100) { id articleType } }")["allFiles"]
    answer = ask(http, query, id=files[0]["id"])["similarTo"]
    assert answer["totalCount"] == len(files)
    assert files[0]["id"] not in [edge["node"]["id"] for edge in answer["edges"]]
    assert len(answer["edges"]) == 5
    (kinds,) = [facet["values"] for facet in answer["facets"] if facet["attribute"] == "articleType"]
    assert {value["value"]: value["products"] for value in kinds} == Counter(file["articleType"] for file in files)


def test_the_process_follows_to_the_next_model(loaded: Loaded, http: httpx.Client) -> None:
    made = make_model_and_index(loaded.settings, seed=1)
    until_ready(http)
    answer = ask(http, '{ searchByText(text: "red dress") { indexVersion modelVersion } }')["searchByText"]
    assert answer == {"indexVersion": made.index, "modelVersion": made.version}


def test_the_commands_of_the_how_to_run_as_they_stand_there(loaded: Loaded, tmp_path: Path) -> None:
    commands = re.findall(r"```bash\n(.*?)```", (ROOT / "docs/how-to/api.md").read_text(), re.DOTALL)
    assert len(commands) > 3
    with signed_in(loaded, "olga") as http:
        variables = {"API": str(http.base_url).rstrip("/"), "TOKEN": http.headers["Authorization"].split()[1]}
        script = "set -euo pipefail\n" + "".join(f"{command}\necho\n" for command in commands)
        done = subprocess.run(
            ["bash", "-c", script], env={**os.environ, **variables}, cwd=tmp_path, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines() if line]
    assert len(answers) > 5
    assert not [answer for answer in answers if "errors" in answer or "code" in answer]


def test_an_operator_sees_models_and_indexes_and_rolls_back_by_their_own_name(loaded: Loaded) -> None:
    with signed_in(loaded, "olga") as http:
        found = ask(http, "{ modelVersions { version aliases isChampion } champion { version } runs { id } }")
        assert [(model["version"], model["aliases"]) for model in found["modelVersions"]] == [
            ("2", ["champion"]),
            ("1", []),
        ]
        assert found["champion"] == {"version": "2"}
        assert found["runs"] == []
        assert [index["state"] for index in ask(http, "{ indexVersions { state } }")["indexVersions"]] == [
            "live",
            "retired",
        ]
        with AuditTrail(loaded.settings.required("postgres_dsn")) as trail:
            trail.record("promoted", actor="ana", model_name=MODEL, from_version=None, to_version="1", reason="first")
        query = 'mutation { rollBackModel(reason: "finds shoes", to: "1") { version was indexState indexVersion } }'
        done = ask(http, query)["rollBackModel"]
        assert (done["version"], done["was"], done["indexState"]) == ("1", "2", "made live again")
        (last, _) = ask(http, "{ modelChanges { actor action toVersion reason } }")["modelChanges"]
        assert last == {"actor": "olga", "action": "rolled_back", "toVersion": "1", "reason": "finds shoes"}
        assert ask(http, "{ champion { version aliases } }")["champion"] == {"version": "1", "aliases": ["champion"]}
        until_ready(http)
        answer = ask(http, '{ searchByText(text: "red dress") { indexVersion modelVersion } }')["searchByText"]
        assert answer == {"indexVersion": done["indexVersion"], "modelVersion": "1"}
        sides = ask(http, COMPARE)["compareSearch"]
        assert [(side["modelVersion"], side["indexState"]) for side in sides] == [("1", "live"), ("2", "retired")]
        # Two models that were drawn at random put them in other orders.
        ranked = [[hit["product"]["id"] for hit in side["hits"]] for side in sides]
        assert ranked[0] != ranked[1]
        by_id = {hit["product"]["id"]: hit for hit in sides[1]["hits"]}
        for hit in sides[0]["hits"]:
            if hit["product"]["id"] in by_id:
                assert hit["movedFrom"] == by_id[hit["product"]["id"]]["rank"]


def test_an_operator_promotes_by_the_same_test_as_the_command_line(loaded: Loaded) -> None:
    with signed_in(loaded, "olga") as http:
        query = """mutation { promoteModel(version: "2", reason: "agreed with all", override: true) {
            version promoted reason recallAt10 incumbentRecallAt10 } }"""
        done = ask(http, query)["promoteModel"]
        assert (done["version"], done["promoted"]) == ("2", True)
        assert 0 <= done["recallAt10"] <= 1
        (last,) = ask(http, "{ modelChanges(first: 1) { actor action fromVersion toVersion reason } }")["modelChanges"]
        assert (last["actor"], last["fromVersion"], last["toVersion"]) == ("olga", "1", "2")
        assert last["reason"] == done["reason"]
        assert ask(http, "{ champion { version } }")["champion"] == {"version": "2"}
        error = http.post("/graphql", json={"query": query.replace('"2"', '"99"')}).json()["errors"][0]
        assert error["extensions"]["code"] == "server.model_missing"


def test_model_with_a_flipped_byte_is_refused_and_the_one_before_goes_on_answering(
    loaded: Loaded, http: httpx.Client, tmp_path: Path
) -> None:
    settings, seals = loaded.settings, Seals.of(loaded.settings)
    until_ready(http)
    before = ask(http, SEARCH)["searchByText"]
    tracker, store = Tracker.of(settings), S3ObjectStore(settings.platform_bucket("mlflow"))
    version = tracker.require(register_model(tracker, seed=7, seals=seals))
    # Whoever builds the index has read the model while it was whole.
    fetch(tracker, version, tmp_path, seals)
    files = [key for key in store.list("") if version.run_id in key and "/model/" in key]
    (trained,) = (key for key in files if "/trained." in key and key.endswith(SEALED))
    whole = store.get(trained)
    store.put(trained, whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    champion = tracker.require(CHAMPION).version
    tracker.set_alias(CHAMPION, version.version)
    built = build_index(settings.model_copy(update={"cache_dir": tmp_path}), NoProgress())
    tracker.set_alias(CHAMPION, champion)

    log, deadline = loaded.stack.state.logs / "api.log", time.monotonic() + 30
    while ArtifactRefused.code not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for _ in range(3):
        assert ask(http, SEARCH)["searchByText"] == before
        assert http.get("/readyz").is_success
    with signed_in(loaded, "olga") as operator:
        query = f'mutation {{ promoteModel(version: "{version.version}", reason: "try") {{ promoted }} }}'
        (error,) = operator.post("/graphql", json={"query": query}).json()["errors"]
        assert error["extensions"]["code"] == ArtifactRefused.code
    assert tracker.require(CHAMPION).version == champion

    store.put(trained, whole)
    while (now := ask(http, SEARCH)["searchByText"]) == before:
        assert time.monotonic() < deadline + 60
        time.sleep(0.2)
    assert now == {"indexVersion": built["version"], "modelVersion": version.version}


def test_older_models_are_sealed_by_a_command_and_keys_rotate_while_the_api_answers(
    loaded: Loaded, http: httpx.Client, tmp_path: Path
) -> None:
    settings = loaded.settings
    tracker = Tracker.of(settings)
    plain = tracker.require(register_model(tracker, seed=8, seals=None))
    with pytest.raises(ArtifactNotSealed):
        fetch(tracker, plain, tmp_path, Seals.of(settings))
    assert tejido(loaded, "model", "seal", plain.version) == {"sealed": [plain.version], "unchanged": []}
    names = tracker.file_names(plain.run_id)
    assert not {"trained.safetensors", "model.json", "hashes.json"} & set(names)
    assert tejido(loaded, "model", "seal", "--all")["sealed"] == []

    versions = len(tracker.versions())
    told = tejido(loaded, "keys", "rotate", "--artifacts")
    assert (told["rewrapped"]["models"], told["resigned"]["models"]) == (2 * versions, versions)
    assert ask(http, SEARCH)["searchByText"]["modelVersion"]
    fetch(tracker, plain, tmp_path / "both keys", Seals.of(settings))
    told = tejido(loaded, "keys", "rotate", "--artifacts", "--retire")
    assert (told["rewrapped"]["unchanged"], told["retired"]) == (2 * versions, 1)
    assert (told["resigned"]["unchanged"], told["distrusted"]) == (versions, 1)
    # What is cached is wrapped by a key that is gone: it is fetched anew.
    fetch(tracker, plain, tmp_path / "both keys", Seals.of(settings))
    assert ask(http, SEARCH)["searchByText"]["modelVersion"]
    # Its first signature is by the key that is retired.
    later = f"{MANIFEST}{RESIGNED}"
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / later).write_bytes(tracker.read_file(plain.run_id, later))
    tracker.delete_file(plain.run_id, later)
    with pytest.raises(ArtifactRefused, match="whom nobody trusts"):
        fetch(tracker, plain, tmp_path / "by the old key", Seals.of(settings))
    tracker.write_files(plain.run_id, tmp_path / "later")
    fetch(tracker, plain, tmp_path / "by the new key", Seals.of(settings))
