"""The learning rate over a run's rounds: a linear warm-up, then a cosine."""

from __future__ import annotations

import math

from federation.config import FederationConfig


def learning_rate_share(config: FederationConfig, *, round_number: int) -> float:
    """Share of the configured learning rates that holds in a round.

    A client starts each round anew and does not know the others' steps: the schedule is over rounds, not steps.

    Args:
        config: rounds, warm-up, and what is left at the end.
        round_number: 1 to ``config.rounds``.

    Returns:
        Above 0, at most 1: ``1 / (warmup + 1)`` in the first of the warm-up rounds, 1 right after them,
        ``config.final_learning_rate`` in the last round.
    """
    if round_number <= config.warmup_rounds:
        return round_number / (config.warmup_rounds + 1)
    first = config.warmup_rounds + 1
    done = (round_number - first) / max(1, config.rounds - first)
    wave = (1 + math.cos(math.pi * min(1.0, done))) / 2
    return config.final_learning_rate + (1 - config.final_learning_rate) * wave
