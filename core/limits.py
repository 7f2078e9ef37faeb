"""How many products a client may train on, as it is said: what is not said stays as it is."""

from __future__ import annotations

from typing import Literal

Limit = int | Literal["none"] | None
"""So many, or as many as the client is given, or nothing said of it."""
NO_LIMIT: Literal["none"] = "none"


def limit_after(said: Limit, before: int | None) -> int | None:
    """The limit that holds once this was said; None: there is none."""
    if said is None:
        return before
    return None if said == NO_LIMIT else said
