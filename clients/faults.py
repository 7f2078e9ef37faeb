"""Clients that attack or drop out, in simulations only: what the coordinator's defences are measured against.

What goes wrong stands in the settings of the simulated process (``TEJIDO_SIMULATION_FAULTS``), never in a message: no
coordinator can make a real client misbehave, and `open_dataset` refuses the setting where a client has a bucket.

An attacker knows the state that it was sent and its own products, and may send any numbers of the right shapes; its
name, its products and the number of them are as enrolled. It attacks in every round. All draws come from
(seed, client, round), so that a run with faults is as repeatable as one without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import SimulatedCrash
from core.settings import Attack, SimulationFaults
from federation.features import ProductFeatures
from federation.tensors import Tensor32, Tensors

BOOST = 10.0
"""How much an attacker enlarges its update to outweigh the honest ones: more than a mean over seven can bear."""
WITHIN_BOUND = 4.5
"""The same by one who knows the run's ``norm_bound``, 5 by default, and stays below it."""
NO_FAULTS = SimulationFaults()


@dataclass(frozen=True)
class Faults:
    """What goes wrong at one simulated client in one attempt at a round; nothing for most."""

    settings: SimulationFaults
    client: str
    round: int
    attempt: int = 1

    @property
    def attack(self) -> Attack | None:
        """What this client does to the round; None: it is honest."""
        return self.settings.attack if self.client in self.settings.attackers else None

    def crash_before_training(self) -> None:
        """Fail in one half of the rounds that this client drops out of: it never begins.

        Raises:
            SimulatedCrash: in those rounds.
        """
        self._crash_within(0.0, self.settings.dropout / 2)

    def crash_after_training(self) -> None:
        """Fail in the other half: the work is done, and lost on its way.

        No client stays silent until the deadline, as a gone one would: a virtual client holds a core while it sleeps,
        and the others would miss the deadline with it.

        Raises:
            SimulatedCrash: in those rounds.
        """
        self._crash_within(self.settings.dropout / 2, self.settings.dropout)

    def products(self, products: ProductFeatures) -> ProductFeatures:
        """What this client trains on."""
        return swap_labels(products, self._generator("labels")) if self.attack == "label_swap" else products

    def delta(self, delta: Tensors) -> Tensors:
        """What this client claims to have learned."""
        change = ATTACKS_ON_DELTAS.get(self.attack) if self.attack else None
        return change(delta, self._generator("delta")) if change else delta

    def sent(self, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """What this client sends in place of its encoded update; the names are those of the message."""
        return {name: nan(array) for name, array in arrays.items()} if self.attack == "nan" else arrays

    def _crash_within(self, low: float, high: float) -> None:
        # Drawn anew for each attempt: a round that is tried again may succeed.
        if low <= self._generator(f"dropout/{self.attempt}").random() < high:
            raise SimulatedCrash(f"{self.client} drops out of round {self.round}, as the simulation's faults demand.")

    def _generator(self, what: str) -> np.random.Generator:
        text = f"{self.settings.seed}/{self.client}/{self.round}/{what}"
        return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def sign_flip(delta: Tensors, _: np.random.Generator) -> Tensors:
    """The opposite of what was learned, as long as an honest update: no bound on norms sees it."""
    return {name: -array for name, array in delta.items()}


def scaled(delta: Tensors, _: np.random.Generator) -> Tensors:
    """The opposite of what was learned, enlarged to outweigh everybody else (boosting, Bhagoji et al. 2019)."""
    return {name: array * np.float32(-BOOST) for name, array in delta.items()}


def boosted(delta: Tensors, _: np.random.Generator) -> Tensors:
    """The opposite of what was learned, enlarged as far as the bound on norms lets through."""
    return {name: array * np.float32(-WITHIN_BOUND) for name, array in delta.items()}


def noise(delta: Tensors, generator: np.random.Generator) -> Tensors:
    """Gaussian numbers, each tensor as long as the honest one."""
    return {name: _as_long_as(array, generator) for name, array in delta.items()}


def nan(array: NDArray[Any]) -> NDArray[Any]:
    """Not a number, everywhere, or in the scales of an int8 tensor: one such update turns a plain mean into nothing.

    Done to what is sent: our own encoding refuses to send such values.
    """
    return np.full_like(array, np.nan) if np.issubdtype(array.dtype, np.floating) else array


def swap_labels(products: ProductFeatures, generator: np.random.Generator) -> ProductFeatures:
    """Each picture with another product's captions: training itself is honest, what it learns is wrong."""
    order = generator.permutation(len(products))
    templates = products.templates
    return replace(products, names=products.names[order], templates=templates[order] if templates is not None else None)


def _as_long_as(array: Tensor32, generator: np.random.Generator) -> Tensor32:
    drawn = generator.standard_normal(array.shape, np.float32)
    return drawn * np.float32(np.linalg.norm(array) / max(np.linalg.norm(drawn), np.finfo(np.float32).tiny))


ATTACKS_ON_DELTAS: dict[Attack, Callable[[Tensors, np.random.Generator], Tensors]] = {
    "sign_flip": sign_flip,
    "scaled": scaled,
    "boosted": boosted,
    "noise": noise,
}
"""``label_swap`` changes the products instead, ``nan`` the message."""
