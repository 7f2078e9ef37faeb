from __future__ import annotations

import pytest

from benchmarks.attackers import CLEAN, MEAN, ROBUST, UNCHECKED, Played, bars, loss, play, robust_mode
from benchmarks.inprocess import Bench, load_catalogue
from benchmarks.localclients import Known
from tests.models import tiny_config

PARTITION = "iid"
CONFIG = tiny_config(rounds=1, local_epochs=1)


def played(**losses: float) -> list[Played]:
    """The clean mean, and one attacked run of each robust strategy that loses so much."""
    clean = Played(PARTITION, MEAN, CLEAN, test=0.5)
    return [clean, *(Played(PARTITION, name, "nan", test=0.5 - losses.get(name, 0.4)) for name in ROBUST)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.open(CONFIG, load_catalogue("synthetic", limit=160, cache=tmp_path_factory.mktemp("bench")))


def test_robust_mode_is_the_strategy_whose_worst_run_loses_least() -> None:
    runs = [*played(krum=0.01, multikrum=0.03), Played(PARTITION, "krum", "noise", test=0.3)]
    assert robust_mode(runs) == "multikrum"
    assert loss(runs, runs[-1]) == pytest.approx(0.2)
    assert [bar.holds for bar in bars(runs, "krum")] == [True, False]


def test_checked_run_refuses_nan_and_an_unchecked_one_is_ruined_by_it(bench: Bench) -> None:
    clients = bench.clients(7)
    checked = play(bench, clients, CONFIG, Played(PARTITION, MEAN, "nan"), Known())
    assert (checked.refused, checked.ended) == (1, "")
    assert str(checked).endswith("*")
    ruined = play(bench, clients, CONFIG, Played(PARTITION, UNCHECKED, "nan"), Known())
    assert (ruined.test, str(ruined)) == (0.0, "none")
    assert "federation.heads_invalid" in ruined.ended


def test_run_without_an_attack_refuses_nobody(bench: Bench) -> None:
    clean = play(bench, bench.clients(7), CONFIG, Played(PARTITION, "fedtrimmedavg", CLEAN), Known())
    assert (clean.refused, clean.ended) == (0, "")
    assert 0 <= clean.test <= 1
