"""What the exporter tells of runs, clients, models and the index."""

from __future__ import annotations

import dataclasses
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric

from catalog.objects import DirectoryStore
from server.about import About
from server.checkpoints import RunFolder
from server.errors import TrackingUnreachable
from server.flower import Node
from server.monitoring.exporter import Exporter, serve
from server.monitoring.runs import Runs, outcome_gauges, run_gauges
from server.monitoring.services import index_gauges, node_gauges
from server.reports import RoundReport, client_of
from tests.unit.server.results import run_result

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ENDED = "2026-11-24T11:59:00+00:00"


def value(families: Iterable[Metric], name: str, **labels: str) -> float | None:
    """The one sample of this name that bears these labels; None where there is none."""
    samples = [s for family in families for s in family.samples if s.name == f"tejido_{name}"]
    found = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    assert len(found) <= 1, found
    return found[0] if found else None


def status(**changes: Any) -> dict[str, Any]:
    """Of a run after two rounds; cobre was rejected in the second, after a first attempt that failed."""
    rounds = [
        {
            **entry,
            "ended_at": ENDED,
            "traffic": {name: {"up": 10, "down": 20} for name in ("aurora", "boreal", "cobre")},
        }
        for entry in run_result(rounds=2)["rounds"]
    ]
    return {"stage": "rounds", "at": ENDED, "rounds": rounds, "waiting_for": ["boreal"], **changes}


def test_last_run_says_where_it_is() -> None:
    found = list(run_gauges("run-1", status(), {"rounds": 3, "preset": "lite", "strategy": "fedavg"}, None))
    assert value(found, "run_info", run="run-1", preset="lite", strategy="fedavg") == 1
    assert (value(found, "run_stage", stage="rounds"), value(found, "run_stage", stage="failed")) == (1, 0)
    assert (value(found, "run_rounds"), value(found, "run_rounds_complete")) == (3, 2)
    assert value(found, "run_told_timestamp_seconds") == datetime.fromisoformat(ENDED).timestamp()
    assert value(found, "run_test_recall_at_10", model="challenger") is None


def test_each_round_has_its_recall_and_what_became_of_its_updates() -> None:
    found = list(run_gauges("run-1", status(), {}, run_result()))
    assert value(found, "round_recall_at_10", round="2") == pytest.approx(0.07)
    assert value(found, "round_updates", round="2", outcome="accepted") == 2
    assert value(found, "round_updates", round="2", outcome="rejected") == 1
    assert value(found, "round_bytes", round="1", direction="up") == 12_000
    assert value(found, "run_test_recall_at_10", model="challenger") == 0.12
    # Not a number: no sample, as a panel could draw none.
    assert value(found, "round_loss", round="1") is None


def test_each_client_has_its_health() -> None:
    found = list(run_gauges("run-1", status(), {}, None))
    assert value(found, "client_updates", client="cobre", outcome="accepted") == 1
    assert value(found, "client_updates", client="cobre", outcome="rejected") == 1
    assert value(found, "client_bytes", client="aurora", direction="down") == 40
    assert value(found, "client_heard_timestamp_seconds", client="aurora") == datetime.fromisoformat(ENDED).timestamp()
    assert [value(found, "client_waited_for", client=name) for name in ("aurora", "boreal")] == [0, 1]


def test_run_that_is_over_waits_for_nobody() -> None:
    found = list(run_gauges("run-1", status(stage="completed"), {}, None))
    assert value(found, "client_waited_for", client="boreal") == 0


def test_report_of_an_older_run_is_still_read() -> None:
    new = {"late_clients", "traffic", "ended_at"}
    rounds = [{k: v for k, v in entry.items() if k not in new} for entry in run_result()["rounds"]]
    found = list(run_gauges("run-1", status(rounds=rounds), {}, None))
    assert value(found, "round_recall_at_10", round="3") is not None
    assert value(found, "client_heard_timestamp_seconds", client="aurora") is None


@pytest.mark.parametrize("entry", ["boreal: Its norm is 9: too long.", "attempt 2: boreal: not online"])
def test_client_is_read_out_of_what_a_report_says(entry: str) -> None:
    assert client_of(entry) == "boreal"


def test_run_that_has_fallen_silent_is_told_from_one_that_runs() -> None:
    long_ago = (NOW - timedelta(hours=2)).isoformat()
    statuses = [
        {"stage": "rounds", "at": NOW.isoformat()},
        {"stage": "rounds", "at": long_ago},
        {"stage": "failed"},
        {},
    ]
    found = list(outcome_gauges(statuses, NOW))
    states = {state: value(found, "runs", state=state) for state in ("running", "silent", "failed", "completed")}
    assert states == {"running": 1, "silent": 2, "failed": 1, "completed": 0}


class CountingStore(DirectoryStore):
    """Counts what is read."""

    reads = 0

    def get(self, key: str) -> bytes:
        self.reads += 1
        return super().get(key)


def test_last_word_decides_which_run_is_shown_and_completed_ones_are_read_once(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    for key in ("one", "two", "three"):
        folder = RunFolder(store, key)
        folder.begin(About({"preset": key}, "v1", "b"))
        folder.say("completed", rounds=[])
    RunFolder(store, "two").say("rounds", rounds=[], done=0)
    status_file = tmp_path / "two" / "status.json"
    status_file.write_text(status_file.read_text().replace('"at": "2', '"at": "9'))
    source = Runs(store)
    assert value(source.read(), "run_info", run="two", preset="two") == 1
    before = store.reads
    assert value(source.read(), "runs", state="completed") == 2
    # Of the last run its status (twice), what it is about and its result; nothing of the others.
    assert store.reads - before == 4


def test_without_a_run_there_is_only_the_count(tmp_path: Path) -> None:
    found = list(Runs(DirectoryStore(tmp_path)).read())
    assert {family.name for family in found} == {"tejido_runs"}


def test_index_and_nodes_are_counted() -> None:
    live = {"version": 2, "state": "live", "products": 120, "recall_at_10": 0.99, "live_at": ENDED}
    found = list(index_gauges({"live": 2, "versions": [live, {"version": 1, "state": "retired"}]}))
    assert (value(found, "index_live_version"), value(found, "index_live_products")) == (2, 120)
    assert value(found, "index_versions", state="retired") == 1
    none = list(index_gauges({"live": None, "versions": []}))
    assert value(none, "index_live_version") is None
    nodes = list(node_gauges([Node("1", "online"), Node("2", "offline"), Node("3", "registered")]))
    assert [value(nodes, "supernodes", state=state) for state in ("online", "offline")] == [1, 2]


@dataclasses.dataclass
class FakeSource:
    """Gives a number, or fails."""

    name: str
    every_s: float = 0.0
    fails: bool = False
    reads: int = 0

    def read(self) -> Iterable[Metric]:
        self.reads += 1
        if self.fails:
            raise TrackingUnreachable("MLflow is gone.")
        yield GaugeMetricFamily(f"tejido_{self.name}", "A number.", value=self.reads)


def test_source_that_fails_takes_nobody_with_it_and_leaves_no_old_numbers() -> None:
    good, bad = FakeSource("good"), FakeSource("bad")
    exporter = Exporter([bad, good])
    exporter.refresh()
    assert value(exporter.collect(), "bad") == 1
    bad.fails = True
    exporter.refresh()
    found = list(exporter.collect())
    assert (value(found, "bad"), value(found, "good")) == (None, 2)
    ups = [value(found, "monitoring_source_up", source=name) for name in ("bad", "good")]
    assert ups == [0, 1]


def test_each_source_is_read_in_its_own_time() -> None:
    often, seldom = FakeSource("often"), FakeSource("seldom", every_s=60)
    exporter = Exporter([often, seldom])
    for _ in range(3):
        exporter.refresh()
    assert (often.reads, seldom.reads) == (3, 1)


@pytest.fixture
def served() -> str:
    """Where an exporter listens; its thread ends with the tests."""
    ports: list[int] = []
    listens = threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listens.set()

    options = {"host": "127.0.0.1", "port": 0, "token": "a-token", "ready": ready}
    threading.Thread(target=serve, args=(Exporter([FakeSource("good")]),), kwargs=options, daemon=True).start()
    assert listens.wait(10)
    return f"http://127.0.0.1:{ports[0]}"


def ask(url: str, token: str | None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_only_the_scraper_reads_the_exporter(served: str) -> None:
    assert ask(f"{served}/healthz", None) == (200, "alive\n")
    for token in (None, "another", ""):
        code, text = ask(f"{served}/metrics", token)
        assert code == 401
        assert "tejido" not in text
    code, text = ask(f"{served}/metrics", "a-token")
    assert code == 200
    assert "tejido_monitoring_source_up" in text
    assert ask(f"{served}/other", "a-token")[0] == 404


def test_report_comes_back_as_it_was_written() -> None:
    report = RoundReport.from_dict(status()["rounds"][0])
    assert RoundReport.from_dict(report.as_dict()) == report
