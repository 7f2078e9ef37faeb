"""Arguments that are types of the GraphQL contract; what all ways of asking check alike is in api/arguments.py."""

from __future__ import annotations

from typing import Any, NewType

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.arguments import LISTS, checked_filter
from catalog.filters import ProductFilter

Upload = NewType("Upload", bytes)


def _uploaded(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("A picture is uploaded as multipart/form-data.")
    return value


UPLOAD = strawberry.scalar(
    name="Upload",
    description="A picture of a multipart/form-data request (GraphQL multipart request specification).",
    serialize=lambda _: None,
    parse_value=_uploaded,
)


@strawberry.input(description="Only products that have, of each attribute that is given, one of the values.")
class FileFilter:
    """Every attribute that is given must match; a single value may stand for a list of one."""

    master_category: list[str] | None = None
    sub_category: list[str] | None = None
    article_type: list[str] | None = None
    gender: list[str] | None = None
    base_colour: list[str] | None = None
    season: list[str] | None = None
    year: list[str] | None = None
    usage: list[str] | None = None
    brand: list[str] | None = None
    owner: list[str] | None = None
    year_from: int | None = None
    year_to: int | None = None

    def checked(self) -> ProductFilter:
        """The same filter in the catalogue's words.

        Raises:
            ArgumentInvalid: a value is too long, a list is empty or too long, or a year is no number.
        """
        lists = {name: getattr(self, name) for name in LISTS}
        return checked_filter(lists, self.year_from, self.year_to, spelled=to_camel_case)
