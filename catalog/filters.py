"""Which products a question is about."""

from __future__ import annotations

from dataclasses import dataclass, fields

from catalog.errors import FilterInvalid

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Products whose attributes equal all that are given; None asks nothing."""

    gender: str | None = None
    master_category: str | None = None
    sub_category: str | None = None
    article_type: str | None = None
    base_colour: str | None = None
    season: str | None = None
    year: int | None = None
    usage: str | None = None

    def conditions(self) -> dict[str, str | int]:
        """Column → the value it must have, for what is given; FilterInvalid for text that no row can hold."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, str) and "\0" in value:
                raise FilterInvalid(f"The filter {name} holds a NUL character.", hint="Send plain text.")
        return {name: value for name, value in values.items() if value is not None}


def checked_page(limit: int, offset: int) -> tuple[int, int]:
    """``(limit, offset)``, or FilterInvalid when they ask for no page or too large a one."""
    if not 1 <= limit <= MAX_PAGE or not 0 <= offset < 2**31:
        raise FilterInvalid(
            f"No page has limit {limit} and offset {offset}.", hint=f"Limit is 1 to {MAX_PAGE}, offset 0 or more."
        )
    return limit, offset
