"""SQL in files of annotated queries: ``-- name: query`` above each, then comments, then the statement."""

from __future__ import annotations

import re
from importlib import resources
from typing import LiteralString, cast

from psycopg import sql

HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def queries(file: str) -> dict[str, sql.SQL]:
    """The queries of one file of this package by name, ready for ``.format()`` of their identifiers."""
    text = resources.files("catalog.sql").joinpath(file).read_text(encoding="utf-8")
    _, *parts = HEADING.split(text)
    # The files are part of the program, as literal as a string in it.
    return {
        name: sql.SQL(cast("LiteralString", body.strip())) for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
