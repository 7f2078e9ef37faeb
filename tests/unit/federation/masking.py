"""A masked sum played by all its participants in this process, each of whom may be gone from any stage on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from federation.errors import UnmaskingFailed
from federation.masking.grid import SumGrid
from federation.masking.keys import PublicKeys
from federation.masking.masks import Lanes
from federation.masking.participant import Participant, Revealed
from federation.masking.session import Session, threshold_of
from federation.masking.unmasking import Unmasking
from federation.tensors import Tensors
from tests.models import tiny_config

SESSION = Session("run-1", 1, 1)
NAMES = ("aurora", "boreal", "cobre", "duna", "espiga")
STAGES = ("advertise", "share", "mask", "reveal")
SHAPES = {"matrix": (70, 90), "kernel": (8, 3, 5, 5), "bias": (33,), "log_scale": ()}
PRIVATE = tiny_config(mode="confidential", privacy="client-level", clip_norm=0.5, noise_multiplier=2.0)
"""Of a confidential run whose clients add noise."""


def drawn(seed: int, scale: float = 0.05) -> Tensors:
    generator = np.random.default_rng(seed)
    return {name: (scale * generator.standard_t(3, shape)).astype(np.float32) for name, shape in SHAPES.items()}


def flat(tensors: Tensors) -> np.ndarray:
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


@dataclass
class Played:
    """What came of it, and everything that whoever relays has seen."""

    survivors: tuple[str, ...]
    total: Lanes
    threshold: int
    grid: SumGrid
    masked: dict[str, Lanes] = field(default_factory=dict)
    terms: dict[str, Lanes] = field(default_factory=dict)
    """As they were before they were masked; nobody else has these."""


def shared(
    names: tuple[str, ...] = NAMES, *, threshold: int = 0, session: Session = SESSION
) -> tuple[dict[str, Participant], dict[str, PublicKeys], dict[str, dict[str, bytes]]]:
    """Participants that have made shares; their keys; sender → receiver → sealed share."""
    begun = {name: Participant.begin(name, session) for name in names}
    keys = {name: public for name, (_, public) in begun.items()}
    done = {name: them.share(keys, threshold or threshold_of(len(keys))) for name, (them, _) in begun.items()}
    return {name: them for name, (them, _) in done.items()}, keys, {name: sealed for name, (_, sealed) in done.items()}


def accepted(them: Participant, sealed: Mapping[str, Mapping[str, bytes]]) -> Participant:
    """With the shares that are for it."""
    return them.accept({name: shares[them.name] for name, shares in sealed.items() if name != them.name})


def play(
    updates: Mapping[str, Tensors], gone: Mapping[str, str] | None = None, *, bound: float = 1.0, noise_std: float = 0.0
) -> Played:
    """The sum of ``updates``; each participant that ``gone`` names stops answering before the stage it names.

    Raises:
        UnmaskingFailed: too few were left at some stage.
    """
    gone = gone or {}
    alive = {
        stage: {name for name in updates if name not in gone or STAGES.index(gone[name]) > place}
        for place, stage in enumerate(STAGES)
    }
    advertised = tuple(sorted(alive["advertise"]))
    need(len(advertised), 3)
    threshold = threshold_of(len(advertised))
    them, keys, sealed = shared(advertised, threshold=threshold)
    sealed = {name: shares for name, shares in sealed.items() if name in alive["share"]}
    need(len(sealed), threshold)
    grid = SumGrid(bound, len(advertised), noise_std)
    played = Played((), np.zeros(sum(a.size for a in drawn(0).values()), np.uint32), threshold, grid)
    for name in sorted(alive["mask"]):
        # Between two messages all that is left of a participant is bytes.
        me = Participant.from_bytes(accepted(Participant.from_bytes(them[name].to_bytes()), sealed).to_bytes())
        term = grid.encode(updates[name])
        played.terms[name] = term.copy()
        them[name] = Participant.from_bytes(me.mask(term).to_bytes())
        played.masked[name] = term
        played.total += term
    played.survivors = tuple(sorted(played.masked))
    need(len(played.survivors), threshold)
    dropped = tuple(sorted(set(sealed) - set(played.survivors)))
    revealed: dict[str, Revealed] = {
        name: them[name].reveal(played.survivors, dropped) for name in sorted(alive["reveal"] & set(played.survivors))
    }
    Unmasking(SESSION, keys, played.survivors, dropped, threshold).of(played.total, revealed)
    return played


def need(found: int, least: int) -> None:
    """What a coordinator insists on after each stage."""
    if found < least:
        raise UnmaskingFailed(f"{found} are left, {least} are needed.")
