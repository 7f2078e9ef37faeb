from __future__ import annotations

import pytest

from cli.errors import BadOption
from cli.federation.simulate import simulate, simulated_faults, simulation_text


def test_without_attackers_and_dropouts_nothing_is_simulated() -> None:
    assert simulated_faults(3, 0, "nan", 0.0, seed=0) is None


def test_attackers_are_chosen_by_name() -> None:
    faults = simulated_faults(7, 2, "noise", 0.2, seed=3)
    assert faults is not None
    assert len(faults.attackers) == 2
    assert (faults.attack, faults.dropout, faults.seed) == ("noise", 0.2, 3)


@pytest.mark.parametrize(
    ("attackers", "attack", "dropout", "named"),
    [(4, "nan", 0.0, "--attackers"), (1, "praise", 0.0, "--attack "), (0, "nan", 1.0, "--dropout")],
)
def test_option_that_makes_no_sense_is_refused_before_anything_runs(
    attackers: int, attack: str, dropout: float, named: str
) -> None:
    with pytest.raises(BadOption, match=named):
        simulate(clients=3, attackers=attackers, attack=attack, dropout=dropout)


def test_result_says_who_attacked_and_how_many_dropped_out() -> None:
    result = {
        "rounds": [],
        "recall_at_10": {"zero_shot": 0.1, "challenger": 0.2, "queries": 5, "gallery": 9},
        "faults": {"attackers": ["boreal"], "attack": "nan", "dropout": 0.2, "seed": 0},
    }
    shown = simulation_text(result).renderables
    assert shown[-1] == "Simulated faults: boreal attacked: nan; each client dropped out of 20% of the rounds."
    honest = simulation_text({**result, "faults": None}).renderables
    assert not any(str(part).startswith("Simulated") for part in honest)
