"""What came of one client in one round, as its own curves in MLflow show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from server.validation import MaskedUpdate, ValidUpdate

Fate = Literal["accepted", "rejected", "silent"]
FATES: tuple[Fate, ...] = get_args(Fate)


@dataclass(frozen=True)
class Contribution:
    """One client that was chosen for a round; of several attempts the last."""

    fate: Fate
    reason: str = ""
    """Why the update does not count, or why there is none."""
    loss: float | None = None
    norm: float | None = None
    trained: int = 0
    """Products that it trained on."""
    held: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    """The state as sent to it, once for each attempt."""
    seconds: float = 0.0
    """What it took to encode and train, by its own word."""

    @classmethod
    def accepted(cls, valid: ValidUpdate | MaskedUpdate, *, bytes_up: int) -> Contribution:
        """Of an update that counts; nobody knows the norm of a masked one."""
        covered = valid.coverage
        return cls(
            "accepted",
            loss=valid.loss,
            norm=getattr(valid, "norm", None),
            trained=covered.trained,
            held=covered.held,
            bytes_up=bytes_up,
            seconds=valid.seconds,
        )

    @classmethod
    def rejected(cls, reason: str, *, bytes_up: int) -> Contribution:
        """Of an update that does not count."""
        return cls("rejected", reason, bytes_up=bytes_up)

    @classmethod
    def silent(cls, reason: str) -> Contribution:
        """Of a client that sent nothing."""
        return cls("silent", reason)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """What MLflow shows of it as curves; what a client without an update has no value for is left out."""
        always = {"accepted": float(self.fate == "accepted"), "rejected": float(self.fate == "rejected")}
        always |= {"bytes_up": float(self.bytes_up), "bytes_down": float(self.bytes_down)}
        if self.loss is None:
            return always
        coverage = self.trained / self.held if self.held else 0.0
        learned = {"loss": self.loss, "examples": float(self.trained), "coverage": coverage, "seconds": self.seconds}
        return always | learned | ({} if self.norm is None else {"norm": self.norm})
