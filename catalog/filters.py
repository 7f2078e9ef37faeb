"""Which products a question is about."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from psycopg import sql

from catalog.errors import FilterInvalid

MAX_PAGE = 1000
MAX_VALUES = 50
"""Of one attribute in one filter."""
ATTRIBUTES = (
    "gender", "master_category", "sub_category", "article_type", "base_colour", "season", "year", "usage", "brand",
    "owner",
)  # fmt: skip
"""Columns of ``fashion_files`` that can be filtered by; every index version keeps a copy beside its vectors."""

Value = str | int
Values = Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """What one column must be: one of ``values``, or between two of them (None: no bound)."""

    column: str
    values: tuple[Value, ...] = ()
    low: int | None = None
    high: int | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is bounds that are given, and not values."""
        return not self.values

    def accepts(self, value: Value) -> bool:
        """Whether a product with this value passes."""
        if not self.is_range:
            return value in self.values
        if not isinstance(value, int):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Products that have, of each attribute that is given, that value or one of those values; None asks nothing."""

    gender: str | tuple[str, ...] | None = None
    master_category: str | tuple[str, ...] | None = None
    sub_category: str | tuple[str, ...] | None = None
    article_type: str | tuple[str, ...] | None = None
    base_colour: str | tuple[str, ...] | None = None
    season: str | tuple[str, ...] | None = None
    year: int | tuple[int, ...] | None = None
    usage: str | tuple[str, ...] | None = None
    brand: str | tuple[str, ...] | None = None
    owner: str | tuple[str, ...] | None = None
    year_from: int | None = None
    year_to: int | None = None

    def conditions(self) -> tuple[Condition, ...]:
        """One for each attribute that is given, values sorted and each once.

        Raises:
            FilterInvalid: text that no row can hold, no value at all or too many, or years the wrong way round.
        """
        found = [_equal(f.name, getattr(self, f.name)) for f in fields(self) if f.name in ATTRIBUTES]
        if self.year_from is not None or self.year_to is not None:
            found.append(_between("year", self.year_from, self.year_to))
        return tuple(condition for condition in found if condition)


def where(conditions: tuple[Condition, ...]) -> sql.Composable:
    """``column = %(column)s AND …`` for each condition, values as in `parameters`; ``TRUE`` for none."""
    terms = [term for condition in conditions for term in _terms(condition)]
    return sql.SQL(" AND ").join(terms) if terms else sql.SQL("TRUE")


def parameters(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """The values that the placeholders of `where` stand for."""
    found: dict[str, Any] = {}
    for condition in conditions:
        if condition.is_range:
            found |= {f"{condition.column}_from": condition.low, f"{condition.column}_to": condition.high}
        else:
            found[condition.column] = condition.values[0] if len(condition.values) == 1 else list(condition.values)
    return found


def checked_page(limit: int, offset: int) -> tuple[int, int]:
    """``(limit, offset)``, or FilterInvalid when they ask for no page or too large a one."""
    if not 1 <= limit <= MAX_PAGE or not 0 <= offset < 2**31:
        raise FilterInvalid(
            f"No page has limit {limit} and offset {offset}.", hint=f"Limit is 1 to {MAX_PAGE}, offset 0 or more."
        )
    return limit, offset


def _terms(condition: Condition) -> list[sql.Composable]:
    column, name = sql.Identifier(condition.column), condition.column
    if condition.is_range:
        bounds = ((">=", "from", condition.low), ("<=", "to", condition.high))
        return [
            sql.SQL("{} {} {}").format(column, sql.SQL(operator), sql.Placeholder(f"{name}_{end}"))
            for operator, end, bound in bounds
            if bound is not None
        ]
    form = "{} = {}" if len(condition.values) == 1 else "{} = ANY({})"
    return [sql.SQL(form).format(column, sql.Placeholder(name))]


def _equal(name: str, given: Values | None) -> Condition | None:
    if given is None:
        return None
    values = tuple(sorted(set(given))) if isinstance(given, tuple) else (given,)
    if not 0 < len(values) <= MAX_VALUES:
        raise FilterInvalid(f"The filter {name} has {len(values)} values.", hint=f"Give 1 to {MAX_VALUES}, or none.")
    if any(isinstance(value, str) and "\0" in value for value in values):
        raise FilterInvalid(f"The filter {name} holds a NUL character.", hint="Send plain text.")
    return Condition(name, values)


def _between(name: str, low: int | None, high: int | None) -> Condition:
    if low is not None and high is not None and low > high:
        raise FilterInvalid(f"The filter {name} runs from {low} to {high}.", hint="Give the smaller one first.")
    return Condition(name, low=low, high=high)
