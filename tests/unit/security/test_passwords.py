"""Passwords: argon2id at rest, bounded, and no quicker for users who do not exist."""

from __future__ import annotations

import time

import pytest
from argon2 import PasswordHasher

from security.errors import PasswordRejected
from security.passwords import hash_password, needs_rehash, password_matches

PASSWORD = "correct horse battery staple"


def test_only_the_right_password_matches() -> None:
    stored = hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_matches(stored, PASSWORD)
    assert not password_matches(stored, PASSWORD + " ")
    assert not password_matches(stored, "")


def test_the_same_password_never_looks_the_same() -> None:
    assert hash_password(PASSWORD) != hash_password(PASSWORD)


def test_nobody_has_no_password() -> None:
    assert not password_matches(None, "the password of a user who does not exist")


def test_a_hash_that_is_none_matches_nothing() -> None:
    for damaged in ("", "plain text", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$"):
        assert not password_matches(damaged, PASSWORD)


def test_a_wrong_name_takes_as_long_as_a_wrong_password() -> None:
    stored = hash_password(PASSWORD)
    password_matches(None, "warm up")

    def fastest(password_hash: str | None) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            password_matches(password_hash, "wrong password")
            times.append(time.perf_counter() - begun)
        return min(times)

    assert 0.5 < fastest(None) / fastest(stored) < 2


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_of_another_length_is_not_set(password: str) -> None:
    with pytest.raises(PasswordRejected) as caught:
        hash_password(password)
    assert password == "" or password not in str(caught.value)


def test_a_huge_password_is_not_even_hashed() -> None:
    begun = time.perf_counter()
    assert not password_matches(None, "x" * 1_000_000)
    assert time.perf_counter() - begun < 0.01


def test_a_hash_with_weaker_parameters_is_to_be_replaced() -> None:
    assert not needs_rehash(hash_password(PASSWORD))
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD))
