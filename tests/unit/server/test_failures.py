"""Failed DAG runs: kept once, listed newest first, posted where somebody listens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core.settings import Settings
from server import failures
from server.failures import drop_failures, recent_failures, record_failure
from server.stores import open_stores

RUN = "asset_triggered__2026-01-02T03:04:05+00:00_x/y"
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, simulation_dir=tmp_path, airflow_url="http://airflow")


def fail(settings: Settings, run_id: str = RUN, task_id: str | None = "train") -> failures.Failure:
    return record_failure(settings, dag_id="federated_finetune", run_id=run_id, task_id=task_id, reason="task_failure")


def test_a_failure_told_twice_is_kept_once_and_names_dag_task_and_run(settings: Settings) -> None:
    fail(settings)
    kept = fail(settings)
    assert recent_failures(settings, within=DAY) == [kept]
    assert str(kept) == f"federated_finetune.train failed in run {RUN}: task_failure"
    assert kept.url == (
        "http://airflow/dags/federated_finetune/runs/asset_triggered__2026-01-02T03%3A04%3A05%2B00%3A00_x/y"
    )


def test_the_newest_stands_first_and_old_ones_are_forgotten(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    for days in (40, 1, 0):
        monkeypatch.setattr(failures, "_now", lambda days=days: now - timedelta(days=days, seconds=1))
        fail(settings, f"run-{days}", None)
    monkeypatch.setattr(failures, "_now", lambda: now)
    assert [f.run_id for f in recent_failures(settings, within=7 * DAY)] == ["run-0", "run-1"]
    store = open_stores(settings).data
    assert drop_failures(store, before=now - 30 * DAY) == 1
    assert [f.run_id for f in recent_failures(settings, within=100 * DAY)] == ["run-0", "run-1"]


@pytest.mark.parametrize("answer", [httpx.Response(200), httpx.Response(500), httpx.ConnectError("gone")])
def test_a_failure_is_posted_and_kept_whether_or_not_anybody_listens(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | httpx.ConnectError
) -> None:
    posted: list[dict[str, Any]] = []

    def post(url: str, *, json: dict[str, Any], timeout: float) -> httpx.Response:
        posted.append({"to": url, **json})
        if isinstance(answer, httpx.ConnectError):
            raise answer
        answer.request = httpx.Request("POST", url)
        return answer

    monkeypatch.setattr(httpx, "post", post)
    told = settings.model_copy(update={"notify_url": SecretStr("https://chat/hook")})
    kept = fail(told)
    assert [(post["to"], post["text"]) for post in posted] == [("https://chat/hook", str(kept))]
    assert recent_failures(settings, within=DAY) == [kept]
