"""Who takes part and who does no more: said where PostgreSQL, the API and the coordinator look.

A removed client is named in PostgreSQL, which takes no product of its any more and whose tokens the API refuses within
a second, and in ``s3://data/removed``, so that no run waits for it; until it is added again.
"""

from __future__ import annotations

from catalog.leaving import Leaving
from core.limits import Limit
from core.settings import Settings
from server.enrolments import drop_limits, note_admitted, note_removed, say_limit
from server.stores import open_stores


def admit(settings: Settings, client: str, *, limit: Limit) -> int | None:
    """Let a client take part, with as many products as it enrolled for. Safe to run again.

    Returns:
        The limit that holds now, also where nothing was said of it; None: there is none.

    Raises:
        CatalogError: the database or the object store did not answer.
        EnrolmentUnreadable: nothing was said, and the limit that stands there is damaged.
    """
    with Leaving(settings.required("postgres_dsn")) as leaving:
        leaving.admit(client)
    store = open_stores(settings).data
    note_admitted(store, client)
    return say_limit(store, client, limit)


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
