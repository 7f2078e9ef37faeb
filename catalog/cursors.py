"""Cursors that record each statement as a span: its text with placeholders, never the values in their place."""

from __future__ import annotations

import re
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.abc import Params

from core.tracing import span

COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


class TracedCursor(psycopg.Cursor[Any]):
    """Costs a few microseconds a statement while nothing is traced."""

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        """Execute a statement; the pool's empty one, by which it tries a connection, is no span."""
        if not query:
            return super().execute(query, params, **options)
        with span("PostgreSQL", is_call=True, db_system_name="postgresql") as current:
            if current.is_recording():
                text = COMMENT.sub("", query.as_string(self) if isinstance(query, sql.Composable) else str(query))
                current.update_name(text.split(maxsplit=1)[0])
                current.set_attributes({"db.namespace": self.connection.info.dbname, "db.query.text": text})
            return super().execute(query, params, **options)
