"""What clients enrolled for, and who was removed, where the coordinator looks: a small object each.

A client without one in ``s3://data/enrolments`` may train on all of its partition; with one in ``s3://data/removed``
it takes no part, whatever the catalogue names, and none any more in a run that is under way.
"""

from __future__ import annotations

import json

from catalog.objects import ObjectStore
from core.limits import NO_LIMIT, Limit
from server.errors import EnrolmentUnreadable

PREFIX, REMOVED = "enrolments/", "removed/"


def put_limits(store: ObjectStore, client: str, *, max_examples: int) -> None:
    """Write down how many products a client may train on; nothing is written where that stands there already."""
    text = json.dumps({"max_examples": max_examples}).encode()
    key = _key(client)
    if not store.exists(key) or store.get(key) != text:
        store.put(key, text)


def drop_limits(store: ObjectStore, client: str) -> None:
    """Forget what a client enrolled for."""
    if store.exists(_key(client)):
        store.delete(_key(client))


def limits(store: ObjectStore) -> dict[str, int]:
    """Client → how many products it may train on.

    Raises:
        EnrolmentUnreadable: one is damaged; no run begins on a guess.
    """
    return {key.removeprefix(PREFIX).removesuffix(".json"): _read(store, key) for key in list(store.list(PREFIX))}


def say_limit(store: ObjectStore, client: str, limit: Limit) -> int | None:
    """Write down what is said of a client's limit, and return the one that holds then; None: there is none.

    Raises:
        EnrolmentUnreadable: nothing is said, and what stands there is damaged.
    """
    if limit is None:
        return _read(store, _key(client)) if store.exists(_key(client)) else None
    if limit == NO_LIMIT:
        drop_limits(store, client)
        return None
    put_limits(store, client, max_examples=limit)
    return limit


def note_removed(store: ObjectStore, client: str) -> None:
    """Name a client as removed."""
    if not store.exists(REMOVED + client):
        store.put(REMOVED + client, b"")


def note_admitted(store: ObjectStore, client: str) -> None:
    """Name it so no more."""
    if store.exists(REMOVED + client):
        store.delete(REMOVED + client)


def removed(store: ObjectStore) -> frozenset[str]:
    """Who was removed, and was not added again."""
    return frozenset(key.removeprefix(REMOVED) for key in store.list(REMOVED))


def _read(store: ObjectStore, key: str) -> int:
    try:
        found = json.loads(store.get(key))["max_examples"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(store, key) from error
    if type(found) is not int or found < 1:
        raise _unreadable(store, key)
    return found


def _unreadable(store: ObjectStore, key: str) -> EnrolmentUnreadable:
    return EnrolmentUnreadable(
        f"{key} in {store.name} says of no client what it enrolled for.",
        hint="Say it again: `tejido client add NAME --max-examples N`.",
    )


def _key(client: str) -> str:
    return f"{PREFIX}{client}.json"
