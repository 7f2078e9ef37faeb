"""Each client's own curves, in a run below the federation's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from server import client_runs as module
from server.client_runs import CLIENT, EACH_ROUND, REASONS, ClientRuns, client_runs
from server.errors import TrackingUnreachable
from server.reports import RoundReport, round_report
from server.tracking import Point, Run
from tests.unit.server.federation import CONFIG, forbidding, one_round, refusing, silent, training, update
from tests.unit.server.test_judgement import answered, retrieval


@dataclasses.dataclass
class FakeMlflow:
    """Nested runs in memory; counts its requests."""

    points: dict[str, list[Point]] = dataclasses.field(default_factory=dict)
    tags: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    status: dict[str, str] = dataclasses.field(default_factory=dict)
    requests: int = 0
    is_gone: bool = False

    def nested(self, parent: str) -> list[Run]:
        return [Run(name, "1", name, self.status[name], {}, {}, tags) for name, tags in self.tags.items()]

    def start_nested(self, parent: str, name: str, *, tags: Mapping[str, str]) -> str:
        assert parent == "parent"
        assert name not in self.tags, "a client has one nested run"
        self.tags[name], self.points[name], self.status[name] = dict(tags), [], "RUNNING"
        return name

    def go_on(self, run_id: str) -> None:
        self.status[run_id] = "RUNNING"

    def steps(self, run_id: str, metric: str) -> set[int]:
        return {point.step for point in self.points[run_id] if point.metric == metric}

    def log_points(self, run_id: str, points: Sequence[Point], *, tags: Mapping[str, str] | None = None) -> None:
        if self.is_gone:
            raise TrackingUnreachable("MLflow is gone.")
        self.requests += 1
        self.points[run_id] += points
        self.tags[run_id] |= tags or {}

    def end(self, run_id: str, *, status: str = "FINISHED") -> None:
        self.status[run_id] = status

    def curve(self, client: str, metric: str) -> dict[int, float]:
        """Step → value; every step is there once."""
        found = [(point.step, point.value) for point in self.points[client] if point.metric == metric]
        assert len(dict(found)) == len(found)
        return dict(found)


def reports(rounds: int) -> list[RoundReport]:
    """Of rounds in which aurora trains, boreal refuses and cobre is silent."""
    outcome = one_round(training("aurora"), refusing, silent, config=dataclasses.replace(CONFIG, quorum=0.1))
    val = retrieval(answered(0, 0.5))
    return [
        round_report(n, outcome, val, recall_by_client={"aurora": 0.5}, seconds=2.0, evaluation_s=1.0)
        for n in range(1, rounds + 1)
    ]


def test_a_round_s_report_counts_what_clients_policies_refused() -> None:
    outcome = one_round(training("aurora"), refusing, forbidding, config=dataclasses.replace(CONFIG, quorum=0.1))
    report = round_report(1, outcome, retrieval(answered(0, 0.5)), recall_by_client={}, seconds=2.0, evaluation_s=1.0)
    assert (report.rejected, report.refused) == (2, 1)
    assert report.metrics()["refused"] == 1
    assert 'rule "hours"' in report.contributions["cobre"]["reason"]
    assert RoundReport.from_dict({k: v for k, v in report.as_dict().items() if k != "refused"}).refused == 0


def test_a_client_s_curves_add_up_to_the_round_s() -> None:
    (report,) = reports(1)
    mlflow = FakeMlflow()
    with client_runs(mlflow, "parent") as runs:
        runs.note([report])
    clients = ("aurora", "boreal", "cobre")
    assert {name: mlflow.tags[name][CLIENT] for name in clients} == dict(zip(clients, clients, strict=True))
    for total in ("bytes_up", "bytes_down"):
        assert sum(mlflow.curve(name, total)[1] for name in clients) == getattr(report, total)
    assert [mlflow.curve(name, EACH_ROUND)[1] for name in clients] == [1, 0, 0]
    assert mlflow.curve("aurora", "loss") == {1: report.loss}
    assert mlflow.curve("aurora", "coverage") == {1: 1.0}
    assert mlflow.curve("aurora", "val_recall_at_10") == {1: 0.5}
    assert mlflow.curve("boreal", "loss") == {}


def test_why_an_update_did_not_count_stands_with_the_client() -> None:
    mlflow = FakeMlflow()
    with client_runs(mlflow, "parent") as runs:
        runs.note(reports(30))
    reasons = mlflow.tags["boreal"][REASONS].splitlines()
    assert len(reasons) == module.MAX_REASONS
    assert reasons[-1] == "round 30: Too old. [clients.partition_stale]"
    assert REASONS not in mlflow.tags["aurora"]
    assert mlflow.tags["cobre"][REASONS].startswith("round 11: no reply within")


def test_many_short_rounds_cost_one_request_a_client() -> None:
    mlflow, rounds = FakeMlflow(), reports(50)
    with client_runs(mlflow, "parent") as runs:
        for number in range(1, 51):
            runs.note(rounds[:number])
    assert mlflow.requests == 3
    assert set(mlflow.curve("aurora", EACH_ROUND)) == set(range(1, 51))
    assert set(mlflow.status.values()) == {"FINISHED"}
    assert mlflow.curve("aurora", "total_accepted") == {50: 50.0}
    assert mlflow.curve("boreal", "total_rejected") == {50: 50.0}
    assert mlflow.curve("cobre", "total_silent") == {50: 50.0}


def test_long_rounds_are_shown_while_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_LEAST_S", 0.0)
    monkeypatch.setattr(module, "TIMES_ITS_COST", 0)
    mlflow, rounds = FakeMlflow(), reports(2)
    runs = ClientRuns(mlflow, "parent")
    runs.note(rounds[:1])
    assert set(mlflow.curve("aurora", EACH_ROUND)) == {1}
    runs.note(rounds)
    assert set(mlflow.curve("aurora", EACH_ROUND)) == {1, 2}


def test_resumed_run_goes_on_in_the_same_nested_runs_with_each_round_once() -> None:
    mlflow, rounds = FakeMlflow(), reports(4)
    killed = ClientRuns(mlflow, "parent")
    killed.note(rounds[:1])
    killed.flush()
    killed.note(rounds[:2])  # The coordinator is killed before this is logged.
    with client_runs(mlflow, "parent") as runs:
        runs.note(rounds[:2])
        runs.note(rounds)
    assert set(mlflow.curve("aurora", EACH_ROUND)) == {1, 2, 3, 4}


def test_failed_run_s_clients_are_closed_as_failed() -> None:
    mlflow = FakeMlflow()
    with pytest.raises(KeyError, match="first"):
        fail_after_a_round(mlflow)
    assert set(mlflow.status.values()) == {"FAILED"}


def test_run_that_failed_first_does_not_fail_by_mlflow() -> None:
    with pytest.raises(KeyError, match="first"):
        fail_after_a_round(FakeMlflow(is_gone=True))


def fail_after_a_round(mlflow: FakeMlflow) -> None:
    with client_runs(mlflow, "parent") as runs:
        runs.note(reports(1))
        raise KeyError("first")


def test_report_of_an_older_checkpoint_tells_nothing_of_clients() -> None:
    (report,) = reports(1)
    older = {name: value for name, value in report.as_dict().items() if name != "contributions"}
    assert RoundReport.from_dict(older).contributions == {}
    assert "contributions" not in report.summary()
    assert RoundReport.from_dict(report.as_dict()) == report


def test_client_that_claims_too_much_is_rejected_with_what_it_sent() -> None:
    outcome = one_round(training("aurora"), training("boreal"), update({}, held=99))
    told = outcome.total.contributions["cobre"]
    assert told.fate == "rejected"
    assert told.reason
    assert told.loss is None
