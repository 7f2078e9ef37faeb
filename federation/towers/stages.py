"""A tower as a row of stages: entry, blocks, exit. It can be cut between any two, and what lies below computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from federation.spec import INPUT_CUT


@dataclass(frozen=True)
class Hidden:
    """What flows between two stages.

    ``values`` is (B, …): pixels (B, S, S, 3) uint8, token ids (B, L), feature maps (B, C, H, W), token states
    (B, L, W), or features (B, F). ``lengths`` is (B,): how many of the L tokens are no padding; None for what has none.
    """

    values: Tensor
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> Hidden:
        """The same on another device; itself where it is there already."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return Hidden(self.values.to(device), lengths)


class Stage(nn.Module):
    """One step from Hidden to Hidden."""

    lora_targets: tuple[str, ...] = ()
    """Names of the linear maps inside that ``lora`` gives an adapter."""

    def forward(self, hidden: Hidden) -> Hidden:
        """One step further."""
        raise NotImplementedError(type(self).__name__)

    def folded(self) -> Stage:
        """The same function with fewer steps, for serving; itself where there is nothing to fold."""
        return self


@dataclass(frozen=True)
class Tower:
    """One tower of a preset, without its projection.

    Cuts are counted from below: 0 lies between the entry and the first block, ``len(blocks)`` above the exit (what is
    cached then are features), `INPUT_CUT` below the entry.
    """

    entry: Stage
    blocks: Sequence[Stage]
    exit: Stage

    def below(self, cut: int) -> list[Stage]:
        """The stages that are computed once."""
        if cut == INPUT_CUT:
            return []
        exits = [self.exit] if cut == len(self.blocks) else []
        return [self.entry, *self.blocks[:cut], *exits]

    def above(self, cut: int) -> list[Stage]:
        """The stages that training passes through."""
        if cut == len(self.blocks):
            return []
        entries = [self.entry] if cut == INPUT_CUT else []
        return [*entries, *self.blocks[max(cut, 0) :], self.exit]

    def modules(self) -> list[Stage]:
        """All stages, from below."""
        return [self.entry, *self.blocks, self.exit]


def run_by_length(stages: Sequence[Stage], hidden: Hidden, *, rows_at_once: int = 32) -> Tensor:
    """Features of texts, short ones apart from long ones: a batch as a whole is padded to its longest text.

    Returns:
        (B, features), in the order of ``hidden``.
    """
    if hidden.lengths is None or len(hidden) <= rows_at_once:
        return run(stages, hidden).values
    order = hidden.lengths.argsort(stable=True)
    features = []
    for rows in order.split(rows_at_once):  # type: ignore[no-untyped-call]
        lengths = hidden.lengths[rows]
        features.append(run(stages, Hidden(hidden.values[rows, : int(lengths.max())], lengths)).values)
    return torch.cat(features)[order.argsort()]


def run(stages: Sequence[Stage], hidden: Hidden) -> Hidden:
    """Through all stages, in order."""
    for stage in stages:
        hidden = stage(hidden)
    return hidden
