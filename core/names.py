"""The names that clients get when nobody names them."""

from __future__ import annotations

FIRST = (
    "aurora", "boreal", "cobre", "duna", "estela", "fresno", "girasol", "horizonte", "indigo", "jacaranda",
)  # fmt: skip


def client_names(count: int) -> list[str]:
    """``count`` distinct client names, always the same in the same order."""
    return [FIRST[i] if i < len(FIRST) else f"client-{i + 1}" for i in range(count)]
