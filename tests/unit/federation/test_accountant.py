"""The price of privacy, against computations that share nothing with ours but the definitions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.privacy.accountant import Ledger

DELTA = 1e-5
NOISE = st.floats(0.3, 50)
ROUNDS = st.integers(1, 300)


def after(noise: float, rounds: int) -> Ledger:
    return Ledger(((noise, rounds),))


def renyi(noise: float, order: float) -> float:
    """Rényi divergence of the sum with one client's update from that without it, integrated over the densities."""
    # In one dimension, along the update, whose length is the sensitivity 1.
    x = np.linspace(-30 * noise - order, 30 * noise + order, 400_001)
    log_with, log_without = (-((x - mean) ** 2) / (2 * noise**2) for mean in (1.0, 0.0))
    log_integrand = order * log_with + (1 - order) * log_without - math.log(noise * math.sqrt(2 * math.pi))
    top = log_integrand.max()
    integral = np.exp(log_integrand - top).sum() * (x[1] - x[0])
    return float((math.log(integral) + top) / (order - 1))


def by_renyi(noise: float, rounds: int) -> float:
    """ε by bisection on the δ that proposition 12 of Canonne et al. gives for integrated divergences."""
    orders = 1 + np.geomspace(0.05, 60, 250)
    divergences = rounds * np.array([renyi(noise, float(order)) for order in orders])
    low, high = 0.0, 200.0
    for _ in range(60):
        epsilon = (low + high) / 2
        log_delta = (orders - 1) * (divergences - epsilon) - np.log(orders - 1) + orders * np.log1p(-1 / orders)
        low, high = (low, epsilon) if log_delta.min() <= math.log(DELTA) else (epsilon, high)
    return high


def by_privacy_loss(noise: float, rounds: int) -> float:
    """The exact ε: the distribution of one round's privacy loss, convolved numerically with itself for each round."""
    size = 1 << 16
    spread = math.sqrt(rounds) / noise
    reach = rounds / (2 * noise**2) + 12 * spread
    losses = np.linspace(-2 * reach, 2 * reach, size, endpoint=False)
    # log p/q at x ~ p: normal with mean 1/2σ² and standard deviation 1/σ; centred, so that the grid holds its sum.
    step = losses[1] - losses[0]
    edges = np.append(losses, losses[-1] + step) - step / 2
    cumulative = np.array([0.5 * math.erfc(-edge * noise / math.sqrt(2)) for edge in edges])
    one = np.fft.ifftshift(np.diff(cumulative))
    together = np.fft.fftshift(np.fft.irfft(np.fft.rfft(one) ** rounds, size))
    shifted = losses + rounds / (2 * noise**2)
    low, high = 0.0, 200.0
    for _ in range(60):
        epsilon = (low + high) / 2
        above = shifted > epsilon
        delta = float((together[above] * -np.expm1(epsilon - shifted[above])).sum())
        low, high = (low, epsilon) if delta <= DELTA else (epsilon, high)
    return high


@pytest.mark.parametrize(("noise", "known"), [(1.0, 30.1), (2.0, 12.3), (4.0, 5.38)])
def test_twenty_rounds_cost_what_is_known(noise: float, known: float) -> None:
    assert after(noise, 20).epsilon(DELTA) == pytest.approx(known, rel=0.003)


@pytest.mark.parametrize(("noise", "rounds"), [(1.0, 20), (2.0, 20), (4.0, 20), (1.0, 1), (0.8, 5), (10.0, 200)])
def test_epsilon_is_within_a_percent_of_integrated_renyi_divergences(noise: float, rounds: int) -> None:
    assert after(noise, rounds).epsilon(DELTA) == pytest.approx(by_renyi(noise, rounds), rel=0.01)


@pytest.mark.parametrize(("noise", "rounds"), [(1.0, 20), (2.0, 20), (4.0, 20), (1.0, 1), (10.0, 200)])
def test_epsilon_is_never_below_the_exact_one_and_at_most_a_tenth_above(noise: float, rounds: int) -> None:
    exact = by_privacy_loss(noise, rounds)
    assert exact <= after(noise, rounds).epsilon(DELTA) <= 1.1 * exact


def test_the_exact_computation_is_exact() -> None:
    """Guards the oracle: theorem 8 of Balle & Wang 2018, in closed form."""
    for noise, rounds in ((1.0, 20), (2.0, 20), (4.0, 20)):
        mu, epsilon = math.sqrt(rounds) / noise, by_privacy_loss(noise, rounds)
        beyond, below = (0.5 * math.erfc(x / math.sqrt(2)) for x in (epsilon / mu - mu / 2, epsilon / mu + mu / 2))
        assert beyond - math.exp(epsilon) * below == pytest.approx(DELTA, rel=0.01)


def test_nothing_is_spent_before_the_first_round() -> None:
    assert (Ledger().epsilon(DELTA), Ledger().rounds) == (0.0, 0)


@settings(max_examples=60, deadline=None)
@given(noise=NOISE, rounds=ROUNDS, more=st.floats(1.01, 3))
def test_more_rounds_less_noise_and_smaller_delta_cost_more(noise: float, rounds: int, more: float) -> None:
    epsilon = after(noise, rounds).epsilon(DELTA)
    assert after(noise, rounds + 1).epsilon(DELTA) > epsilon
    assert after(noise / more, rounds).epsilon(DELTA) > epsilon
    assert after(noise, rounds).epsilon(DELTA / more) > epsilon


@settings(max_examples=60, deadline=None)
@given(noise=NOISE, rounds=ROUNDS)
def test_rounds_together_are_one_with_less_noise_by_the_root_of_their_number(noise: float, rounds: int) -> None:
    together = after(noise, rounds).epsilon(DELTA)
    assert together == pytest.approx(after(noise / math.sqrt(rounds), 1).epsilon(DELTA), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(noises=st.lists(st.sampled_from([0.7, 1.0, 2.5]), min_size=1, max_size=30))
def test_ledger_adds_up_in_any_order_and_survives_json(noises: list[float]) -> None:
    forwards, backwards = Ledger(), Ledger()
    for noise in noises:
        before, forwards = forwards, forwards.after(noise)
        assert forwards.epsilon(DELTA) > before.epsilon(DELTA)
    for noise in reversed(noises):
        backwards = backwards.after(noise)
    assert forwards == backwards == Ledger.from_list(json.loads(json.dumps(forwards.as_list())))
    assert forwards.rounds == len(noises)
    # Rounds of different noise: their squared inverses add up.
    total = sum(1 / noise**2 for noise in noises)
    assert forwards.epsilon(DELTA) == pytest.approx(after(1 / math.sqrt(total), 1).epsilon(DELTA), rel=1e-9)
