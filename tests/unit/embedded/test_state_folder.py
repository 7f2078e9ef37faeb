"""The state folder: private, one stack at a time, secrets made once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from embedded.errors import StackLocked, StateFolderUnusable
from embedded.state import StateFolder, StateLock


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    state = StateFolder.at(tmp_path / "state")
    secret = state.secret("password")
    assert len(secret) == 43
    assert StateFolder.at(tmp_path / "state").secret("password") == secret
    assert state.secret("other") != secret
    assert stat.S_IMODE((state.secrets / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.run.stat().st_mode) == 0o700


def test_a_second_stack_in_the_same_folder_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    state = StateFolder.at(tmp_path)
    first, second = StateLock(state), StateLock(state)
    first.acquire()
    with pytest.raises(StackLocked, match=f"in use by process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_two_folders_have_different_marks_and_one_keeps_its_own(tmp_path: Path) -> None:
    one, two = StateFolder.at(tmp_path / "one"), StateFolder.at(tmp_path / "two")
    assert one.stack_id != two.stack_id
    assert one.stack_id == StateFolder.at(tmp_path / "one").stack_id


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateFolderUnusable, match="file/state cannot be used"):
        StateFolder.at(tmp_path / "file" / "state")
