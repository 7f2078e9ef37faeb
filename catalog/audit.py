"""The trail of model versions that became the champion, or were refused: rows that PostgreSQL lets nobody change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from catalog.database import OnDatabase
from catalog.sql import queries

AUDIT = queries("audit.sql")
Action = Literal["promoted", "overridden", "refused", "rolled_back", "failed"]


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One row. ``failed``: what the row before it announced was not done."""

    id: int
    at: datetime
    actor: str
    action: Action
    model_name: str
    from_version: str | None
    """Champion until then."""
    to_version: str
    reason: str


class AuditTrail(OnDatabase):
    """Adds to the trail, and reads it. Every call is one transaction."""

    def record(
        self, action: Action, *, actor: str, model_name: str, from_version: str | None, to_version: str, reason: str
    ) -> None:
        """Add a row.

        Raises:
            DatabaseUnreachable, DatabaseRefused: it was not added; what it is about must not be done then.
        """
        values = {
            "action": action,
            "actor": actor,
            "model_name": model_name,
            "from_version": from_version,
            "to_version": to_version,
            "reason": reason,
        }
        with self._database.transaction() as connection:
            connection.execute(AUDIT["record"], values)

    def changes(self, model_name: str, *, limit: int = 50) -> list[ModelChange]:
        """The last rows about a model, newest first."""
        with (
            self._database.transaction() as connection,
            connection.cursor(row_factory=class_row(ModelChange)) as cursor,
        ):
            return cursor.execute(AUDIT["changes"], {"model_name": model_name, "limit": limit}).fetchall()

    def was_champion(self, model_name: str, version: str) -> bool:
        """Whether a version was the champion at any time."""
        with self._database.transaction() as connection:
            values = {"model_name": model_name, "version": version}
            (found,) = connection.execute(AUDIT["was_champion"], values).fetchone() or (False,)
            return bool(found)
