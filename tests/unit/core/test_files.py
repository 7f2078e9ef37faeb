from __future__ import annotations

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
