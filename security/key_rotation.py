"""Replaces the key that signs access tokens, each step not before it harms nobody.

``publish`` a new key, wait until no cache of the JWKS lacks it, ``activate`` it, wait until the last token of the old
one has expired, ``retire`` that. When each key was published and began to sign stands in ``rotation.json`` beside the
keys, so that a rotation that broke off goes on where it was, in whatever process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.files import write_atomically
from security.errors import RotationTooEarly
from security.signing_keys import SigningKeys, locked
from security.tokens import LEEWAY_S, MAX_LIFETIME_S

JWKS_CACHE_S = 300
"""How long whoever verifies tokens may keep the JWKS."""
SLACK_S = 60
"""For clocks that differ, and processes that look at the folder a moment later."""
HISTORY = "rotation.json"

State = Literal["signs", "published", "replaced"]
Action = Literal["published", "activated", "retired"]


@dataclass(frozen=True)
class KeyState:
    """One key, and when the next step with it may be taken (seconds since 1970); the one that signs has none."""

    kid: str
    state: State
    due_at: float | None = None


@dataclass(frozen=True)
class Step:
    """What was done, with which key."""

    action: Action
    kid: str
    is_last: bool
    """Whether nothing is left to do until somebody wants a new key again."""


class KeyRotation:
    """Rotates the keys of one folder. Safe to use from several processes at once: each step is one of them's.

    Args:
        directory: the folder of SigningKeys.
        clock: seconds since 1970.
        activate_after_s: how long a key is published before it signs.
        retire_after_s: how long one that signed no more still verifies.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        activate_after_s: float = JWKS_CACHE_S + SLACK_S,
        retire_after_s: float = MAX_LIFETIME_S + LEEWAY_S + SLACK_S,
    ) -> None:
        self._directory, self._clock = directory, clock
        self._activate_after_s, self._retire_after_s = activate_after_s, retire_after_s

    def states(self) -> list[KeyState]:
        """Every key; the one that signs first, the others by when their next step is due.

        Raises:
            SigningKeyMissing, SigningKeyUnreadable: see SigningKeys.
        """
        keys = SigningKeys(self._directory)
        history = self._history()
        # The first key of a folder has no history.
        since = history.get(keys.active.kid, {}).get("activated_at", (self._directory / "active").stat().st_mtime)
        others = [self._state(kid, history.get(kid, {}), since) for kid in keys.kids if kid != keys.active.kid]
        return [KeyState(keys.active.kid, "signs"), *sorted(others, key=lambda key: key.due_at or 0)]

    def advance(self) -> Step:
        """Take the next step: retire what was replaced, or else activate what is published, or else publish a key.

        Raises:
            RotationTooEarly: it would harm somebody now; ``due_in_s`` says when it will not.
            SigningKeyMissing, SigningKeyUnreadable: see SigningKeys.
        """
        with locked(self._directory, ".rotation.lock"):
            _, *others = self.states()
            replaced = [key for key in others if key.state == "replaced"]
            published = [key for key in others if key.state == "published"]
            if replaced:
                self._wait_over(replaced[0], "retire")
                return self._retire(replaced[0].kid, is_last=len(others) == 1)
            if published:
                self._wait_over(published[-1], "activate")
                return self._activate(published[-1].kid)
            return self._publish()

    def replace_now(self) -> list[Step]:
        """Sign with a new key and retire all others at once, for when one was stolen.

        Every access token there is ends; pages and programs that hold a refresh token get another.
        """
        with locked(self._directory, ".rotation.lock"):
            published = self._publish()
            steps = [published, self._activate(published.kid)]
            _, *others = self.states()
            left = [key.kid for key in others]
            return [*steps, *(self._retire(kid, is_last=kid == left[-1]) for kid in left)]

    def _publish(self) -> Step:
        before = SigningKeys(self._directory)
        (kid,) = set(before.publish().kids) - set(before.kids)
        self._note(kid, "published_at")
        return Step("published", kid, is_last=False)

    def _activate(self, kid: str) -> Step:
        # Before it is so: a key that signed and does not say so would be taken for a new one, and sign again.
        self._note(kid, "activated_at")
        SigningKeys(self._directory).activate(kid)
        return Step("activated", kid, is_last=False)

    def _retire(self, kid: str, *, is_last: bool) -> Step:
        SigningKeys(self._directory).retire(kid)
        return Step("retired", kid, is_last=is_last)

    def _wait_over(self, key: KeyState, action: str) -> None:
        left_s = (key.due_at or 0) - self._clock()
        if left_s > 0:
            raise RotationTooEarly(key.kid, action, left_s)

    def _state(self, kid: str, times: dict[str, float], active_since: float) -> KeyState:
        if "published_at" in times and "activated_at" not in times:
            return KeyState(kid, "published", times["published_at"] + self._activate_after_s)
        return KeyState(kid, "replaced", active_since + self._retire_after_s)

    def _history(self) -> dict[str, dict[str, float]]:
        file = self._directory / HISTORY
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _note(self, kid: str, event: str) -> None:
        known = set(SigningKeys(self._directory).kids)
        history = {name: times for name, times in self._history().items() if name in known}
        history.setdefault(kid, {})[event] = self._clock()
        write_atomically(self._directory / HISTORY, json.dumps(history).encode())
