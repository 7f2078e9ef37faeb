from __future__ import annotations

import multiprocessing
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from core.files import secret_once, write_atomically, write_secret


def test_a_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"s3cret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    first = secret_once(tmp_path / "password")
    assert secret_once(tmp_path / "password") == first
    assert len(first) >= 32


def test_two_secrets_differ(tmp_path: Path) -> None:
    assert secret_once(tmp_path / "a") != secret_once(tmp_path / "b")


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


MAKERS, ROUNDS = 16, 25


def test_many_threads_that_make_a_secret_at_once_have_the_same(tmp_path: Path) -> None:
    barrier = threading.Barrier(MAKERS)

    def make(_: int) -> list[str]:
        found = []
        for number in range(ROUNDS):
            barrier.wait()
            found.append(secret_once(tmp_path / f"secret-{number}"))
        return found

    with ThreadPoolExecutor(MAKERS) as pool:
        made = list(pool.map(make, range(MAKERS)))
    kept = [(tmp_path / f"secret-{number}").read_text() for number in range(ROUNDS)]
    assert made == [kept] * MAKERS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"secret-{number}" for number in range(ROUNDS))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def _make_all(folder: Path) -> list[str]:
    return [secret_once(folder / f"secret-{number}") for number in range(200)]


def test_many_processes_that_make_secrets_at_once_have_the_same(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = list(pool.map(_make_all, [tmp_path] * 4))
    assert made == [made[0]] * 4
    assert len(list(tmp_path.iterdir())) == 200


def test_who_comes_second_has_the_first_one_s_secret_and_never_sees_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    second: list[str] = []
    drawn: Callable[[int], str] = secrets.token_urlsafe

    def overtaken(length: int) -> str:
        # The other one begins, and ends, after the first has seen that there is none.
        monkeypatch.setattr(secrets, "token_urlsafe", drawn)
        second.append(secret_once(path))
        return drawn(length)

    monkeypatch.setattr(secrets, "token_urlsafe", overtaken)
    real_fsync: Callable[[int], None] = os.fsync

    def looking(descriptor: int) -> None:
        assert not path.exists() or path.read_text() == second[0]
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", looking)
    assert secret_once(path) == second[0] == path.read_text()
    assert list(tmp_path.iterdir()) == [path]
