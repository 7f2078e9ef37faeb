"""Does one attacker of seven hurt?

Seven clients train heads of `lite` together on ../shared/fashion (BENCH_SOURCE names another catalogue). One of them
attacks in every round, in each way that clients/faults.py knows; the coordinator combines updates by the plain mean or
by one of the robust strategies, and checks each update first as it always does. The first line shows the mean
without those checks. recall@10 is that of the round that was best on val, on the whole gallery; a run that ends without
a model has 0. The robust mode is the strategy whose worst attack, over both partitions, costs least.
Usage: python -m benchmarks.attackers [--rounds 8] [--seed 0] [--robust NAME …]
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import get_args

import structlog

from benchmarks.inprocess import Bench, Clients, Outcome, load_catalogue
from benchmarks.localclients import Known
from benchmarks.reporting import Bar, report, table
from core.errors import TejidoError
from core.settings import Attack, SimulationFaults
from federation.config import FederationConfig
from server.simulation import chosen_attackers

CLIENTS, ATTACKERS = 7, 1
PARTITIONS = ("iid", "dirichlet(0.5, sub_category)")
ATTACKS: tuple[Attack, ...] = get_args(Attack)
CLEAN = "none"
MEAN, UNCHECKED = "fedavg", "fedavg, unchecked"
ROBUST = ("fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "fedcosine")
LOSS_BAR = 0.02
"""In recall@10, absolute: two points."""


@dataclass(frozen=True)
class Played:
    """What one run came to."""

    partition: str
    strategy: str
    attack: str
    val: float = 0.0
    test: float = 0.0
    refused: int = 0
    """Updates that did not count."""
    ended: str = ""
    """Why there is no model."""

    def __str__(self) -> str:
        return f"{self.test:.3f}{'*' if self.refused else ''}" if not self.ended else "none"


def main() -> None:
    """Play all runs, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the first heads and the batches, and of who attacks")
    parser.add_argument("--robust", nargs="+", choices=ROBUST, default=ROBUST, help="robust strategies to try")
    options = parser.parse_args()
    # The coordinator tells of every attempt that it repeats.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    config = FederationConfig(rounds=options.rounds, local_epochs=4, attackers=ATTACKERS, seed=options.seed)
    played = []
    for one in play_all(Bench.open(config, load_catalogue()), config, (UNCHECKED, MEAN, *options.robust)):
        played.append(one)
        print(f"{one.partition}: {one.strategy}, {one.attack}: {one} {one.ended}".rstrip(), flush=True)
    robust = robust_mode(played)
    report(
        "attackers",
        __doc__ or "",
        shown=f"{tables(played)}\n\n* with updates that were refused\nthe robust mode: {robust}",
        figures={
            "robust_mode": robust,
            "rounds": config.rounds,
            "seed": config.seed,
            "runs": [asdict(one) for one in played],
        },
        bars=bars(played, robust),
    )


def play_all(bench: Bench, config: FederationConfig, strategies: Sequence[str]) -> Iterator[Played]:
    """Each strategy without an attack and under each, over each partition."""
    for partition in PARTITIONS:
        clients, known = bench.clients(CLIENTS, partition), Known()
        for strategy in strategies:
            for attack in (CLEAN, *ATTACKS):
                yield play(bench, clients, config, Played(partition, strategy, attack), known)


def play(bench: Bench, clients: Clients, config: FederationConfig, about: Played, known: Known) -> Played:
    """One run: the round that is best on val, looked at on test."""
    faults = SimulationFaults()
    if about.attack != CLEAN:
        attackers = chosen_attackers(CLIENTS, ATTACKERS, seed=config.seed)
        faults = SimulationFaults.model_validate({"attackers": attackers, "attack": about.attack, "seed": config.seed})
    config = replace(config, strategy=about.strategy.split(",")[0])
    is_validated = about.strategy != UNCHECKED
    rounds: list[Outcome] = []
    try:
        for outcome in bench.federate(clients, config, faults=faults, is_validated=is_validated, known=known):
            rounds.append(outcome)
    except TejidoError as error:
        return replace(about, ended=f"[{error.code}] {error.message}")
    best = max(rounds, key=lambda outcome: outcome.val.recall_at_10)
    return replace(
        about,
        val=best.val.recall_at_10,
        test=bench.gallery.evaluate(best.state, "test").recall_at_10,
        refused=sum(len(outcome.rejections) for outcome in rounds),
    )


def robust_mode(played: list[Played]) -> str:
    """The robust strategy whose worst run loses least of what the mean has without an attack."""
    worst = {one.strategy: 0.0 for one in played if one.strategy in ROBUST}
    for one in played:
        if one.strategy in worst:
            worst[one.strategy] = max(worst[one.strategy], loss(played, one))
    return min(worst, key=lambda strategy: worst[strategy])


def loss(played: list[Played], one: Played) -> float:
    """recall@10 on test that this run lacks to the clean run of the mean over the same partition."""
    clean = next(p for p in played if (p.partition, p.strategy, p.attack) == (one.partition, MEAN, CLEAN))
    return clean.test - one.test


def bars(played: list[Played], robust: str) -> list[Bar]:
    """What the robust mode may lose under each attack."""
    return [
        Bar(f"{robust}, {one.partition}, {one.attack}: recall@10 lost", LOSS_BAR, round(loss(played, one), 4))
        for one in played
        if one.strategy == robust
    ]


def tables(played: list[Played]) -> str:
    """recall@10 on test, one table a partition: strategies down, attacks across."""
    shown = []
    for partition in PARTITIONS:
        rows = [
            (strategy, *(one for one in played if (one.partition, one.strategy) == (partition, strategy)))
            for strategy in dict.fromkeys(one.strategy for one in played)
        ]
        shown.append(table((f"recall@10, {partition}", CLEAN, *ATTACKS), rows))
    return "\n\n".join(shown)


if __name__ == "__main__":
    main()
