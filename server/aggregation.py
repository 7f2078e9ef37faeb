"""One round's updates, reply by reply: unpack, validate, add to the sum; what is wrong is counted, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import TejidoError
from federation.strategies import new_aggregation
from federation.tensors import Tensors, add
from federation.wire import from_record
from server.validation import check_update

if TYPE_CHECKING:
    from federation.wire import ArrayRecord


@dataclass
class RoundSum:
    """Memory holds the sum and one update at a time, however many clients there are."""

    state: Tensors
    strategy: str
    replies: int = 0
    rejections: list[str] = field(default_factory=list)
    bytes_up: int = 0
    _loss: float = 0.0
    _examples: int = 0

    def __post_init__(self) -> None:
        self._aggregation = new_aggregation(self.strategy)

    def take(self, client: str, arrays: ArrayRecord, *, examples: object, loss: object, enrolled: int) -> None:
        """Count one client's update, or reject it."""
        self.bytes_up += sum(len(array.data) for array in arrays.values())
        try:
            delta = from_record(arrays, like=self.state)
            trusted = check_update(delta, examples=examples, loss=loss, enrolled=enrolled)
        except TejidoError as error:
            self.reject(client, str(error))
            return
        self._aggregation.add(delta, examples=trusted)
        self._loss += float(str(loss)) * trusted
        self._examples += trusted
        self.replies += 1

    def reject(self, client: str, reason: str) -> None:
        """Count a reply that is no update."""
        self.rejections.append(f"{client}: {reason}")

    @property
    def loss(self) -> float:
        """Mean loss over the products behind the updates that counted."""
        return self._loss / self._examples if self._examples else float("nan")

    def new_state(self) -> Tensors:
        """The global state after this round."""
        return add(self.state, self._aggregation.step())
