"""What operators see and do: runs with their rounds, models, indexes, promotions, rollbacks; and who may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from catalog.audit import ModelChange
from server.about import About
from server.checkpoints import RunFolder
from server.errors import ModelMissing, RollbackRefused, TrackingUnreachable
from tests.unit.api.fakes import Parts
from tests.unit.server.results import run_result

RUNS = """{ runs { id state isRunning stage message waitingFor plannedRounds strategy modelVersion recallAt10
  zeroShotRecallAt10 rounds { round state recallAt10 loss replies rejected bytesUp bytesDown seconds
    clients { name fate reason norm } }
  contributions { client rounds accepted rejected silent } } }"""
PROMOTE = """mutation ($v: String!, $r: String, $o: Boolean! = false) {
  promoteModel(version: $v, reason: $r, override: $o) { version promoted reason recallAt10 incumbentRecallAt10 } }"""
ROLL_BACK = """mutation ($r: String!, $to: String) {
  rollBackModel(reason: $r, to: $to) { version was indexState indexVersion message } }"""
QUESTIONS = [
    "{ runs { id } }",
    '{ run(id: "x") { id } }',
    "{ contributions { client } }",
    "{ modelVersions { version } }",
    "{ champion { version } }",
    "{ indexVersions { version } }",
    "{ modelChanges { actor } }",
    '{ compareSearch(text: "like 7", versions: ["1", "2"]) { modelVersion } }',
    'mutation { promoteModel(version: "1") { promoted } }',
    'mutation { rollBackModel(reason: "it is worse") { version } }',
]


def ask(client: TestClient, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def refusal(client: TestClient, query: str, **variables: Any) -> dict[str, Any]:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert "secret-host" not in answer.text
    return {"message": error["message"], **error["extensions"]}


def begin(parts: Parts, key: str, **said: Any) -> RunFolder:
    folder = RunFolder(parts.checkpoints, key)
    folder.take_over()
    folder.begin(About({"rounds": 3, "strategy": "fedavg", "preset": "lite"}, "v1", "b"))
    folder.say(**{"stage": "rounds", "total": 3, **said})
    return folder


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_reader_is_told_that_only_operators_may(client: TestClient, parts: Parts, query: str) -> None:
    found = refusal(client, query)
    assert found["code"] == "security.forbidden"
    assert "operator" in found["hint"]
    assert parts.deeds.done == []


def test_a_run_that_goes_on_shows_the_round_that_is_under_way(operator: TestClient, parts: Parts) -> None:
    begin(parts, "one", message="heard 1 of 3", waiting_for=["cobre"], rounds=run_result(rounds=2)["rounds"])
    (run,) = ask(operator, RUNS)["runs"]
    assert (run["id"], run["state"], run["isRunning"], run["stage"]) == ("one", "running", True, "rounds")
    assert (run["plannedRounds"], run["strategy"], run["waitingFor"]) == (3, "fedavg", ["cobre"])
    assert [(entry["round"], entry["state"]) for entry in run["rounds"]] == [
        (1, "complete"), (2, "complete"), (3, "running"),
    ]  # fmt: skip
    assert run["rounds"][1]["recallAt10"] == pytest.approx(0.07)
    assert run["rounds"][2]["recallAt10"] is None
    # Not a number, which JSON does not have.
    assert run["rounds"][0]["loss"] is None


def test_a_client_s_part_is_told_by_round_and_in_all(operator: TestClient, parts: Parts) -> None:
    begin(parts, "one", rounds=run_result(rounds=2)["rounds"])
    (run,) = ask(operator, RUNS)["runs"]
    (rejected,) = [client for client in run["rounds"][1]["clients"] if client["fate"] == "rejected"]
    assert (rejected["name"], rejected["reason"]) == ("cobre", "Its norm is 9: too long.")
    assert run["contributions"][2] == {"client": "cobre", "rounds": 2, "accepted": 1, "rejected": 1, "silent": 0}
    found = ask(operator, "{ contributions { client accepted reasons norm } }")["contributions"]
    assert found[2]["reasons"] == ["round 2: Its norm is 9: too long."]
    assert found[0] == {"client": "aurora", "accepted": 2, "reasons": [], "norm": 1.0}


def test_a_completed_run_names_its_model_and_what_it_found_on_test(operator: TestClient, parts: Parts) -> None:
    result = run_result() | {"mlflow": {"version": "4"}}
    folder = begin(parts, "one", stage="completed", rounds=result["rounds"])
    folder.finish(result)
    (run,) = ask(operator, RUNS)["runs"]
    assert (run["state"], run["isRunning"], len(run["rounds"])) == ("completed", False, 3)
    assert (run["modelVersion"], run["recallAt10"], run["zeroShotRecallAt10"]) == ("4", 0.12, 0.04)


def test_one_run_is_asked_for_by_its_id_and_an_unknown_one_is_null(operator: TestClient, parts: Parts) -> None:
    begin(parts, "one")
    query = "query ($id: String!) { run(id: $id) { id } }"
    assert ask(operator, query, id="one")["run"] == {"id": "one"}
    for unknown in ("", "two", "../secret", "a/b", "x" * 5000, "é\n"):
        assert ask(operator, query, id=unknown) == {"run": None}


def test_without_any_run_there_is_nothing_to_show(operator: TestClient) -> None:
    assert ask(operator, "{ runs { id } contributions { client } }") == {"runs": [], "contributions": []}


def test_models_with_their_recall_and_the_champion_among_them(operator: TestClient, parts: Parts) -> None:
    parts.models.add("1", "champion", recall=0.4)
    parts.models.add("2", "challenger", recall=0.5)
    query = "{ modelVersions { version aliases isChampion recallAt10 judgement run } champion { version } }"
    found = ask(operator, query)
    assert [(model["version"], model["isChampion"]) for model in found["modelVersions"]] == [("2", False), ("1", True)]
    assert found["modelVersions"][0]["recallAt10"] == 0.5
    assert found["modelVersions"][0]["run"] == "run-2"
    assert found["champion"] == {"version": "1"}


def test_a_page_that_polls_does_not_ask_the_registry_each_time(operator: TestClient, parts: Parts) -> None:
    parts.models.add("1", "champion")
    for _ in range(5):
        ask(operator, "{ modelVersions { version } champion { version } }")
    assert parts.models.asked == 2


def test_a_registry_that_is_away_is_a_clear_error_and_runs_are_still_shown(operator: TestClient, parts: Parts) -> None:
    begin(parts, "one")
    parts.models.is_down = True
    for _ in range(3):
        found = refusal(operator, "{ modelVersions { version } }")
        assert found["code"] == "api.tracking_unavailable"
        assert found["hint"]
    assert parts.models.asked == 1
    assert ask(operator, "{ runs { id } }")["runs"] == [{"id": "one"}]


def test_index_versions_and_the_trail_are_shown(operator: TestClient, parts: Parts) -> None:
    parts.switch_to(2, "5")
    at = datetime(2026, 11, 24, tzinfo=UTC)
    parts.trail.rows = [ModelChange(1, at, "ana", "promoted", "fashion-clip", None, "1", "it finds more")]
    found = ask(
        operator, "{ indexVersions { version state modelVersion products progress } modelChanges { actor at } }"
    )
    assert [(index["version"], index["state"]) for index in found["indexVersions"]] == [(2, "live"), (1, "retired")]
    assert found["modelChanges"] == [{"actor": "ana", "at": "2026-11-24T00:00:00+00:00"}]
    parts.trail.is_down = True
    assert refusal(operator, "{ modelChanges { actor } }")["code"] == "api.unavailable"


@pytest.mark.parametrize(
    "arguments", ["runs(first: 0) { id }", "runs(first: 101) { id }", "modelChanges(first: -1) { at }"]
)
def test_pages_have_the_limits_of_others(operator: TestClient, arguments: str) -> None:
    assert refusal(operator, f"{{ {arguments} }}")["code"] == "api.argument_invalid"


def test_a_promotion_is_done_in_the_name_of_the_token_s_subject(operator: TestClient, parts: Parts) -> None:
    found = ask(operator, PROMOTE, v="3", r="  agreed with\n boreal ")["promoteModel"]
    assert (found["version"], found["promoted"], found["recallAt10"]) == ("3", True, 0.5)
    assert parts.deeds.done == [{"actor": "olga", "version": "3", "override": None, "remark": "agreed with boreal"}]


def test_the_test_is_overridden_only_where_that_is_asked_for_and_why_is_said(
    operator: TestClient, parts: Parts
) -> None:
    ask(operator, PROMOTE, v="3", r="agreed with boreal", o=True)
    assert parts.deeds.done[0]["override"] == "agreed with boreal"
    for reason in (None, "", "  ", "x"):
        assert refusal(operator, PROMOTE, v="3", r=reason, o=True)["code"] == "api.argument_invalid"
    assert len(parts.deeds.done) == 1


def test_a_rollback_says_what_answers_searches_then(operator: TestClient, parts: Parts) -> None:
    found = ask(operator, ROLL_BACK, r="finds shoes for dresses")["rollBackModel"]
    assert (found["version"], found["was"], found["indexState"], found["indexVersion"]) == (
        "1", "2", "made live again", 7,
    )  # fmt: skip
    assert parts.deeds.done == [{"actor": "olga", "reason": "finds shoes for dresses", "to": None}]
    for arguments in ({"r": ""}, {"r": "x" * 301}, {"r": "why not", "to": "champion"}):
        assert refusal(operator, ROLL_BACK, **arguments)["code"] == "api.argument_invalid"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelMissing("There is no version '9'."), "server.model_missing"),
        (RollbackRefused("Version 2 is the champion already."), "server.rollback_refused"),
        (TrackingUnreachable("MLflow at http://secret-host:5001 is gone."), "api.tracking_unavailable"),
    ],
)
def test_what_stands_in_the_way_is_said(operator: TestClient, parts: Parts, error: Any, code: str) -> None:
    parts.deeds.error = error
    assert refusal(operator, PROMOTE, v="9")["code"] == code
    assert refusal(operator, ROLL_BACK, r="why not")["code"] == code


def test_after_a_deed_models_are_looked_at_anew(operator: TestClient, parts: Parts) -> None:
    parts.models.add("1", "champion")
    ask(operator, "{ champion { version } }")
    parts.models.all.clear()
    parts.models.add("2", "champion")
    ask(operator, ROLL_BACK, r="finds shoes")
    assert ask(operator, "{ champion { version } }")["champion"] == {"version": "2"}
