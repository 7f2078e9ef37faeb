"""What was asked for lately is kept in the process; the shared cache is behind it, and its errors pass."""

from __future__ import annotations

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from api.near_cache import NearCache


class Far:
    """A shared cache that counts, and that may be away."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.asked: list[str] = []
        self.is_away = False

    def get(self, name: str, /) -> object:
        self._answer(name)
        return self.values.get(name)

    def set(self, name: str, value: bytes, /, *, ex: int) -> object:
        self._answer(name)
        self.values[name] = value
        return True

    def _answer(self, name: str) -> None:
        self.asked.append(name)
        if self.is_away:
            raise ValkeyConnectionError("away")


def test_what_is_near_is_not_asked_for_again() -> None:
    far = Far()
    far.values["a"] = b"1"
    near = NearCache(far)
    assert [near.get("a") for _ in range(5)] == [b"1"] * 5
    assert far.asked == ["a"]


def test_what_is_set_goes_to_both() -> None:
    far = Far()
    near = NearCache(far)
    near.set("a", b"1", ex=60)
    assert far.values == {"a": b"1"}
    assert near.get("a") == b"1"
    assert far.asked == ["a"]


def test_what_nobody_has_is_asked_for_each_time() -> None:
    far = Far()
    near = NearCache(far)
    assert [near.get("a"), near.get("a")] == [None, None]
    assert far.asked == ["a", "a"]


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    far = Far()
    near = NearCache(far, kept=2)
    for name in "ab":
        near.set(name, name.encode(), ex=60)
    near.get("a")
    near.set("c", b"c", ex=60)
    far.asked.clear()
    assert [near.get(name) for name in "acb"] == [b"a", b"c", b"b"]
    assert far.asked == ["b"]


def test_what_is_near_is_answered_while_the_other_is_away() -> None:
    far = Far()
    near = NearCache(far)
    near.set("a", b"1", ex=60)
    far.is_away = True
    assert near.get("a") == b"1"
    with pytest.raises(ValkeyConnectionError):
        near.get("b")
    with pytest.raises(ValkeyConnectionError):
        near.set("b", b"2", ex=60)
    assert near.get("b") == b"2"
