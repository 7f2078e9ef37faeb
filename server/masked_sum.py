"""The sum of one attempt at a confidential round: masked terms are added up unseen, and the sum alone is unmasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import structlog

from federation.errors import UnmaskingFailed
from federation.masking.grid import SumGrid
from federation.masking.masks import Lanes
from federation.masking.unmasking import Unmasking
from federation.privacy.clipping import norm
from federation.tensors import count
from federation.wire import EncodedTensor, EncodedUpdate
from server.aggregation import RoundSum

if TYPE_CHECKING:
    from federation.masking.participant import Revealed
    from server.exchange import Reply

log = structlog.get_logger(__name__)


@dataclass
class MaskedSum(RoundSum):
    """Memory holds one masked sum and one masked update; there is nothing to hold updates against each other by."""

    lanes: Lanes = field(default_factory=lambda: np.zeros(0, np.uint32))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lanes = np.zeros(count(self.rules.state), np.uint32)

    @property
    def survivors(self) -> tuple[str, ...]:
        """Whose masked updates are in the sum, sorted."""
        return tuple(sorted(self.coverage))

    def unmask(self, unmasking: Unmasking, revealed: Mapping[str, Revealed], grid: SumGrid) -> None:
        """Take the masks off, and give the strategy the mean.

        Raises:
            UnmaskingFailed: too few revealed, too much of it was garbage, or the sum is longer than any of honest
                updates can be. Which client's fault it is cannot be told.
        """
        garbage = unmasking.of(self.lanes, revealed)
        if garbage:
            # Also by who sealed it: docs/explanation/masking.md.
            log.warning("shares that were revealed are garbage", garbage=garbage)
            self.masking["garbage"] = garbage
        total = grid.decode(self.lanes, like=self.rules.state)
        terms = len(self.survivors)
        length, longest = norm(total), grid.longest(terms, self.lanes.size)
        # An update that is garbage, or was masked with other keys than it should be, is as long as the grid is wide.
        if length > longest:
            raise UnmaskingFailed(
                f"The sum's norm is {length:.4g}; of {terms} clipped updates it is {longest:.4g} at most."
            )
        mean = {name: EncodedTensor(array / np.float32(terms)) for name, array in total.items()}
        self.strategy.add(EncodedUpdate(mean), examples=1)

    def give_up(self, reason: str) -> None:
        """Throw the sum away: none of its updates counts."""
        for client in self.survivors:
            self.reject(client, reason, bytes_up=self.contributions[client].bytes_up)
        self.coverage.clear()
        self.lanes[:] = 0
        self._loss, self._examples = 0.0, 0

    def _count(self, reply: Reply, sent: int) -> None:
        valid = self.rules.check_masked(reply)
        self.lanes += valid.lanes
        self._note(valid, sent)
        log.info("a masked update counts", products=valid.coverage.trained, loss=round(valid.loss, 4))
