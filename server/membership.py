"""Who takes part and who does no more: said where PostgreSQL, the API and the coordinator look.

A removed client is named in PostgreSQL, which takes no product of its any more and whose tokens the API refuses within
a second, and in ``s3://data/removed``, so that no run waits for it; until it is added again.
"""

from __future__ import annotations

from catalog.leaving import Leaving
from core.settings import Settings
from server.enrolments import drop_limits, note_admitted, note_removed, put_limits
from server.stores import open_stores


def admit(settings: Settings, client: str, *, max_examples: int | None) -> None:
    """Let a client take part, with as many products as it enrolled for; None: with all. Safe to run again.

    Raises:
        CatalogError: the database or the object store did not answer.
    """
    with Leaving(settings.required("postgres_dsn")) as leaving:
        leaving.admit(client)
    store = open_stores(settings).data
    note_admitted(store, client)
    if max_examples is None:
        drop_limits(store, client)
    else:
        put_limits(store, client, max_examples=max_examples)


def bar(settings: Settings, client: str) -> None:
    """Let nothing of a client in any more; returns when nothing is under way that was let in before. Safe to run again.

    Raises:
        CatalogError: the database or the object store did not answer.
    """
    with Leaving(settings.required("postgres_dsn")) as leaving:
        leaving.bar(client)
    store = open_stores(settings).data
    note_removed(store, client)
    drop_limits(store, client)
