"""Failed DAG runs, where operators look: one small object each in ``s3://data/failures``, and a post to a web hook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import structlog

from catalog.objects import ObjectStore
from core.settings import Settings
from server.notices import post_notice
from server.stores import open_stores

PREFIX = "failures/"
log = structlog.get_logger()


@dataclass(frozen=True)
class Failure:
    """One DAG run that failed."""

    dag_id: str
    run_id: str
    task_id: str | None
    """The task that failed last, where one did: a run may also take too long."""
    reason: str
    url: str
    """Of the run in Airflow; empty where its address is not known."""
    at: str
    """ISO 8601, UTC."""

    def __str__(self) -> str:
        where = f"{self.dag_id}.{self.task_id}" if self.task_id else self.dag_id
        return f"{where} failed in run {self.run_id}: {self.reason}"


def record_failure(settings: Settings, *, dag_id: str, run_id: str, task_id: str | None, reason: str) -> Failure:
    """Keep a failure and post it to ``TEJIDO_NOTIFY_URL``; told twice of the same run, it is kept once.

    Raises:
        StorageUnreachable: it cannot be kept; it was posted all the same.
    """
    failure = Failure(dag_id, run_id, task_id, reason, _url(settings, dag_id, run_id), _now().isoformat())
    log.error("dag run failed", **asdict(failure))
    # First the post: where the object store is what failed, somebody must still hear of it.
    post_notice(settings, str(failure), **asdict(failure))
    store = open_stores(settings).data
    store.put(_key(failure), json.dumps(asdict(failure), ensure_ascii=False).encode())
    return failure


def recent_failures(settings: Settings, *, within: timedelta) -> list[Failure]:
    """Those that are not older, newest first."""
    store, since = open_stores(settings).data, (_now() - within).isoformat()
    return sorted((f for f in _all(store) if f.at >= since), key=lambda failure: failure.at, reverse=True)


def drop_failures(store: ObjectStore, *, before: datetime) -> int:
    """Forget older ones; returns how many."""
    old = [failure for failure in _all(store) if failure.at < before.isoformat()]
    for failure in old:
        store.delete(_key(failure))
    return len(old)


def _all(store: ObjectStore) -> Iterator[Failure]:
    return (Failure(**json.loads(store.get(key))) for key in list(store.list(PREFIX)))


def _key(failure: Failure) -> str:
    # A DAG run's id holds signs that are no part of a key.
    return f"{PREFIX}{hashlib.sha256(f'{failure.dag_id} {failure.run_id}'.encode()).hexdigest()[:32]}.json"


def _url(settings: Settings, dag_id: str, run_id: str) -> str:
    return f"{settings.airflow_url}/dags/{dag_id}/runs/{quote(run_id)}" if settings.airflow_url else ""


def _now() -> datetime:
    return datetime.now(UTC)
