"""What operators look at and do. Nothing of it is imported before somebody asks: MLflow and torch take seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from api.errors import Busy
from core.settings import Settings

if TYPE_CHECKING:
    from server.overview import Overview


class Deeds(Protocol):
    """What changes the champion; `server.promotion` and `server.rollback` in production."""

    def promote(self, settings: Settings, *, version: str, override: str | None, remark: str | None) -> dict[str, Any]:
        """Make a version the champion, if it has earned it."""

    def roll_back(self, settings: Settings, *, reason: str, to: str | None) -> dict[str, Any]:
        """Make an earlier champion the champion again."""


class ServerDeeds:
    """Just what `tejido model promote` and `tejido model rollback` do."""

    def promote(self, settings: Settings, *, version: str, override: str | None, remark: str | None) -> dict[str, Any]:
        """See `server.promotion.promote`. Loads both models: seconds, or more where a catalogue was never encoded."""
        from server.promotion import promote

        return promote(settings, version=version, override=override, remark=remark)

    def roll_back(self, settings: Settings, *, reason: str, to: str | None) -> dict[str, Any]:
        """See `server.rollback.rollback`."""
        from server.rollback import rollback

        return rollback(settings, reason=reason, to=to)


@dataclass(frozen=True)
class Operations:
    """The operators' side of the API."""

    settings: Settings
    overview: Callable[[], Overview]
    """Made at the first call."""
    deeds: Deeds = field(default_factory=ServerDeeds)
    _judging: threading.Lock = field(default_factory=threading.Lock)

    def promote(self, actor: str, *, version: str, override: str | None, remark: str | None) -> dict[str, Any]:
        """Promote in the name of ``actor``; what `server.promotion.promote` returns.

        Raises:
            Busy: another promotion is under way here; each takes the memory of two models.
        """
        if not self._judging.acquire(blocking=False):
            raise Busy("Another promotion is under way.", hint="See modelChanges for what came of it.")
        try:
            return self.deeds.promote(self._as(actor), version=version, override=override, remark=remark)
        finally:
            self._judging.release()
            self.overview().forget_models()

    def roll_back(self, actor: str, *, reason: str, to: str | None) -> dict[str, Any]:
        """Roll back in the name of ``actor``; what `server.rollback.rollback` returns."""
        try:
            return self.deeds.roll_back(self._as(actor), reason=reason, to=to)
        finally:
            self.overview().forget_models()

    def _as(self, actor: str) -> Settings:
        # The trail of changes names who acts by their token, not the user of this process.
        return self.settings.model_copy(update={"actor": actor})
