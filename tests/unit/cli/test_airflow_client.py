from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from cli.airflow import Airflow
from cli.errors import AirflowRefused, AirflowUnreachable


def airflow(answer: Callable[[httpx.Request], httpx.Response]) -> Airflow:
    """An Airflow whose REST API is played at the transport."""

    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        assert request.headers["Authorization"] == "Bearer t"
        return answer(request)

    return Airflow("http://airflow", username="u", password="p", transport=httpx.MockTransport(play))


def test_a_run_that_does_not_exist_is_none() -> None:
    assert airflow(lambda _: httpx.Response(404)).run("dag", "run") is None


def test_a_run_is_finished_when_it_succeeded_or_failed() -> None:
    for state, finished in (("queued", False), ("running", False), ("success", True), ("failed", True)):
        answer = httpx.Response(200, json={"state": state, "duration": 1.5})
        run = airflow(lambda _, answer=answer: answer).run("dag", "run")  # type: ignore[misc]
        assert run is not None
        assert run.is_finished is finished


def test_the_first_failed_task_is_named_not_the_ones_that_never_ran() -> None:
    tasks = [
        {"task_id": "a", "state": "success", "try_number": 1},
        {"task_id": "c", "state": "upstream_failed", "try_number": 0},
        {"task_id": "b", "state": "failed", "try_number": 2},
    ]
    found = airflow(lambda _: httpx.Response(200, json={"task_instances": tasks})).failed_task("dag", "run")
    assert found == ("b", 2)


def test_a_log_tail_has_the_last_lines_only() -> None:
    content = [{"event": f"line {i}"} for i in range(100)]
    tail = airflow(lambda _: httpx.Response(200, json={"content": content})).log_tail("d", "r", "t", 1, lines=2)
    assert tail == "line 98\nline 99"


def test_a_refusal_names_the_call_and_the_status() -> None:
    with pytest.raises(AirflowRefused, match=r"POST /api/v2/dags/dag/dagRuns: 409"):
        airflow(lambda _: httpx.Response(409, text="exists")).trigger("dag", "run", {})


def test_an_import_error_of_a_dag_is_told_instead_of_waited_for() -> None:
    errors = {"import_errors": [{"stack_trace": "SyntaxError: oops"}]}
    with pytest.raises(AirflowRefused, match="SyntaxError: oops"):
        airflow(lambda _: httpx.Response(200, json=errors)).wait_for_dag("dag", within_s=0)


def test_a_token_that_ran_out_is_fetched_anew() -> None:
    tokens = iter(["old", "new"])

    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": next(tokens)})
        if request.headers["Authorization"] == "Bearer old":
            return httpx.Response(401)
        return httpx.Response(200, json={"state": "success", "duration": 1.0})

    client = Airflow("http://airflow", username="u", password="p", transport=httpx.MockTransport(play))
    run = client.run("dag", "run")
    assert run is not None
    assert run.state == "success"


def test_a_wrong_password_is_refused_and_not_tried_for_ever() -> None:
    refused = Airflow(
        "http://airflow", username="u", password="p", transport=httpx.MockTransport(lambda _: httpx.Response(401))
    )
    with pytest.raises(AirflowRefused, match="/auth/token: 401"):
        refused.run("dag", "run")


@pytest.mark.parametrize(("error", "calls"), [(httpx.ReadTimeout("slow"), 2), (httpx.ConnectError("dead"), 1)])
def test_slow_answer_is_waited_for_longer_than_none(
    error: httpx.TransportError, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.airflow.DEAD_S", 0.0)
    asked: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise error
        return httpx.Response(404)

    client = airflow(play)
    if calls == 1:
        with pytest.raises(AirflowUnreachable, match="dead"):
            client.run("dag", "run")
    else:
        assert client.run("dag", "run") is None
    assert len(asked) == calls


def test_run_that_a_slow_attempt_has_started_is_not_refused_to_the_next() -> None:
    asked: list[str] = []

    def play(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if asked == ["POST"]:
            raise httpx.ReadTimeout("slow")
        if request.method == "POST":
            return httpx.Response(409, text="exists")
        return httpx.Response(200, json={"state": "queued", "duration": None})

    airflow(play).trigger("dag", "run", {})
    assert asked == ["POST", "POST", "GET"]


def test_old_runs_are_deleted_page_by_page_and_one_that_is_gone_already_is_no_error() -> None:
    left = [f"run-{number}" for number in range(3)]
    asked: list[str] = []

    def play(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            asked.append(str(request.url))
            page = [{"dag_id": "dag", "dag_run_id": run_id} for run_id in left[:2]]
            return httpx.Response(200, json={"dag_runs": page})
        gone = request.url.path.rsplit("/", 1)[1]
        left.remove(gone)
        return httpx.Response(404 if gone == "run-1" else 204)

    assert airflow(play).delete_runs(before=datetime(2026, 1, 1, tzinfo=UTC)) == 3
    assert left == []
    assert "end_date_lt=2026-01-01" in asked[0]
    assert "state=success&state=failed" in asked[0]
