"""What clients enrolled for, where the coordinator looks before a run: a small object each in ``s3://data/enrolments``.

A client without one may train on all of its partition.
"""

from __future__ import annotations

import json

from catalog.objects import ObjectStore
from server.errors import EnrolmentUnreadable

PREFIX = "enrolments/"


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
        f"{key} in {store.name} says of no client what it enrolled for.", hint="Say it again: `tejido client add`."
    )


def _key(client: str) -> str:
    return f"{PREFIX}{client}.json"
