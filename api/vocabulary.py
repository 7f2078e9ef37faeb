"""The values that a filter may name: those that the catalogue's products have.

A misspelled value finds nothing, and so does one that no product has any more: the caller should hear it, and which
value was probably meant, instead of an empty page. Values that exist but never together are no error: finding nothing
is the answer.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Mapping

from api.errors import ArgumentInvalid
from api.ports import Files
from catalog.filters import Condition, ProductFilter

REREAD_S = 1.0
"""Values that were read so long ago are read again before one that is not among them is refused."""
MAX_SHOWN_CHARS = 60

Known = Mapping[str, frozenset[str]]
EVERYTHING = ProductFilter()


class Vocabulary:
    """Knows the values of each attribute. Safe to share between threads.

    They are read when one is asked for that is not known, at most once a second: a product that was just written can
    be filtered for, and a flood of wrong values costs one query a second. Owners are not looked at: one that has
    nothing published yet may be asked for.
    """

    def __init__(self, files: Files, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock = files, clock
        self._known: Known = {}
        self._read_at = -REREAD_S
        self._lock = threading.Lock()

    def checked(self, wanted: ProductFilter) -> ProductFilter:
        """The same filter.

        Raises:
            ArgumentInvalid: no product has one of its values.
        """
        conditions = [condition for condition in wanted.conditions() if condition.column != "owner"]
        if _unknown(conditions, self._known) is not None:
            known = self._fresh()
            # Where nothing is published yet, any filter is as good as another.
            if known and (found := _unknown(conditions, known)) is not None:
                raise _refusal(*found, known)
        return wanted

    def _fresh(self) -> Known:
        with self._lock:
            if self._clock() - self._read_at >= REREAD_S:
                facets = self._files.facets(EVERYTHING)
                self._known = {column: frozenset(one.value for one in values) for column, values in facets.items()}
                self._read_at = self._clock()
            return self._known


def _unknown(conditions: list[Condition], known: Known) -> tuple[str, str] | None:
    """The first column and value that no product has."""
    for condition in conditions:
        for value in condition.values:
            if str(value) not in known.get(condition.column, ()):
                return condition.column, str(value)
    return None


def _refusal(column: str, value: str, known: Known) -> ArgumentInvalid:
    shown = value if len(value) <= MAX_SHOWN_CHARS else f"{value[:MAX_SHOWN_CHARS]}…"
    by_lower = {one.lower(): one for one in sorted(known.get(column, ()))}
    near = difflib.get_close_matches(value.lower()[:MAX_SHOWN_CHARS], by_lower, n=1)
    return ArgumentInvalid(
        f"No product has the {column.replace('_', ' ')} {shown!r}.",
        hint=f"Did you mean {by_lower[near[0]]!r}?" if near else "`facets` lists the values that there are.",
    )
