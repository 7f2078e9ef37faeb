"""Names as GraphQL has them: in camel case, which is made once for each and not at each request."""

from __future__ import annotations

from functools import cache

from strawberry.schema.name_converter import NameConverter
from strawberry.utils.str_converters import to_camel_case


class Names(NameConverter):
    """Strawberry's own; it asks for the name of every argument of a field whenever one is resolved."""

    def apply_naming_config(self, name: str) -> str:
        """The same name in camel case."""
        return _camel_case(name)


@cache
def _camel_case(name: str) -> str:
    """Only names of this package come in, so there is an end to them."""
    return to_camel_case(name)
