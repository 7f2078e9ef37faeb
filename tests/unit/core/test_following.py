"""What was read from files follows them, costs a look a second, and outlives files that cannot be read."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from core.errors import TejidoError
from core.following import LOOK_EVERY_S, Followed


class Files:
    """Some files: how they are, what they hold, and how often either was asked."""

    def __init__(self) -> None:
        self.state, self.value, self.now = 1, "first", 0.0
        self.looks, self.reads = 0, list[str | None]()
        self.state_error: Exception | None = None
        self.read_error: Exception | None = None

    def look(self) -> int:
        self.looks += 1
        if self.state_error:
            raise self.state_error
        return self.state

    def read(self, former: str | None) -> str:
        self.reads.append(former)
        if self.read_error:
            raise self.read_error
        return self.value

    def write(self, value: str) -> None:
        self.state, self.value = self.state + 1, value

    def followed(self) -> Followed[str]:
        return Followed(
            "words", state=self.look, read=self.read, told=lambda word: {"word": word}, clock=lambda: self.now
        )


@pytest.fixture
def files() -> Files:
    return Files()


def test_files_are_looked_at_once_a_second_and_read_only_when_they_changed(files: Files) -> None:
    words = files.followed()
    for _ in range(8 * 10):
        files.now += LOOK_EVERY_S / 8
        assert words.current() == "first"
    assert (files.looks, files.reads) == (1 + 10, [None])
    files.write("second")
    assert words.current() == "first"
    with capture_logs() as logs:
        files.now += LOOK_EVERY_S
        assert words.current() == "second"
    assert files.reads == [None, "first"]
    assert logs == [{"event": "the words have changed", "word": "second", "log_level": "info"}]


@pytest.mark.parametrize("which", ["state_error", "read_error"])
@pytest.mark.parametrize("error", [TejidoError("broken"), OSError("broken")])
def test_what_cannot_be_read_leaves_the_value_of_before_and_is_tried_again(
    files: Files, which: str, error: Exception
) -> None:
    words = files.followed()
    setattr(files, which, error)
    files.write("second")
    for _ in range(2):
        with capture_logs() as logs:
            files.now += LOOK_EVERY_S
            assert words.current() == "first"
        event = "the words cannot be read again; those of before stay in use"
        assert logs == [{"event": event, "error": "broken", "log_level": "error"}]
    setattr(files, which, None)
    files.now += LOOK_EVERY_S
    assert words.current() == "second"


@pytest.mark.parametrize("which", ["state_error", "read_error"])
def test_at_the_beginning_it_must_be_readable(files: Files, which: str) -> None:
    setattr(files, which, TejidoError("broken"))
    with pytest.raises(TejidoError):
        files.followed()


def test_another_error_is_a_defect_and_keeps_nobody_from_looking_again(files: Files) -> None:
    words = files.followed()
    files.write("second")
    files.read_error = ZeroDivisionError()
    files.now += LOOK_EVERY_S
    with pytest.raises(ZeroDivisionError):
        words.current()
    files.read_error = None
    files.now += LOOK_EVERY_S
    assert words.current() == "second"


def test_what_changes_while_it_is_read_is_read_once_more(files: Files) -> None:
    read = files.read

    def overtaken(former: str | None) -> str:
        found = read(former)
        if former is None:
            files.write("second")
        return found

    files.read = overtaken  # type: ignore[method-assign]
    words = files.followed()
    assert words.current() == "first"
    files.now += LOOK_EVERY_S
    assert words.current() == "second"


def test_whoever_finds_another_looking_goes_on_with_the_value_of_before(files: Files) -> None:
    reading, go_on, read = threading.Event(), threading.Event(), files.read
    words = files.followed()

    def slow(former: str | None) -> str:
        reading.set()
        assert go_on.wait(5)
        return read(former)

    words._read = slow
    files.write("second")
    files.now += LOOK_EVERY_S
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(words.current)
        assert reading.wait(5)
        files.now += LOOK_EVERY_S
        assert words.current() == "first"
        go_on.set()
        assert looking.result(5) == "second"
    assert files.looks == 2
    assert words.current() == "second"
