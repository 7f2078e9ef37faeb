"""Child processes: logged, marked, described when they end, swept when they are left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.memory import PeakMemory, family, memory_by_service
from embedded.process import Child, Command, clean_environment, last_lines, run_to_end
from embedded.sweep import processes_of, sweep

STACK = f"test-{os.getpid()}"
NOWHERE = Path("/nonexistent")
# Starts a process in a session of its own, as Flower does, and goes away.
LEAVES_ONE_BEHIND = (
    "import subprocess, sys;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True);"
    "print('left one behind')"
)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    sweep(STACK, NOWHERE, grace_s=1)


def python(code: str, **environment: str) -> Command:
    return Command((sys.executable, "-c", code), environment)


def ran(command: Command, log: Path, *, within_s: float = 20, cancel: threading.Event | None = None) -> str | None:
    cancel = cancel or threading.Event()
    return run_to_end(command, stack_id=STACK, service="t", log=log, stdin="given", within_s=within_s, cancel=cancel)


def child(code: str, log: Path) -> Child:
    return Child(python(code), stack_id=STACK, service="test", log=log)


def ended(process: Child) -> str:
    until = time.monotonic() + 20
    while (how := process.how_it_ended()) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    return how


def test_an_exit_status_and_the_last_words_are_kept(tmp_path: Path) -> None:
    process = child("print('\\n'.join(map(str, range(100)))); raise SystemExit(3)", tmp_path / "log")
    assert ended(process) == "ended with exit status 3"
    assert last_lines(tmp_path / "log", 3) == ["97", "98", "99"]


def test_a_kill_is_named_by_its_signal(tmp_path: Path) -> None:
    process = child("import time; time.sleep(60)", tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process) == "was killed by SIGKILL"


def test_a_child_that_does_not_want_to_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    stubborn = "import signal, time, os; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); time.sleep(60)"
    process = child(stubborn, tmp_path / "log")
    time.sleep(0.5)
    process.ask_to_end(signal.SIGTERM)
    process.end(within_s=0.3)
    assert process.how_it_ended() == "was killed by SIGKILL"
    assert [p for p in processes_of(STACK, NOWHERE) if p.status() != psutil.STATUS_ZOMBIE] == []


def test_the_sweep_finds_what_its_parent_left_behind(tmp_path: Path) -> None:
    assert ran(python(LEAVES_ONE_BEHIND), tmp_path / "log") is None
    assert len(list(processes_of(STACK, NOWHERE))) == 1
    assert sweep(STACK, NOWHERE) == 1
    assert list(processes_of(STACK, NOWHERE)) == []


def test_the_sweep_leaves_the_processes_of_another_stack_alone(tmp_path: Path) -> None:
    process = child("import time; time.sleep(60)", tmp_path / "log")
    assert sweep("another-stack", NOWHERE) == 0
    assert process.how_it_ended() is None
    process.ask_to_end(signal.SIGTERM)
    process.end(within_s=5)


def test_the_reaper_ends_what_a_killed_stack_left(tmp_path: Path) -> None:
    killed = (
        "import os, signal, subprocess, sys; from pathlib import Path; from embedded.reaper import Reaper;"
        f"reaper = Reaper({STACK!r}, Path('/nonexistent'));"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        f" env={{**os.environ, 'TEJIDO_STACK_ID': {STACK!r}}});"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    until = time.monotonic() + 20
    while list(processes_of(STACK, NOWHERE)):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_short_program_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    assert ran(python("import time; time.sleep(60)"), tmp_path / "log", within_s=0.3) == "did not end within 0 s"


def test_a_short_program_ends_when_the_start_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    assert ran(python("import time; time.sleep(60)"), tmp_path / "log", cancel=cancel) == "was given up"
    assert time.monotonic() - began < 10


def test_a_short_program_reads_what_it_is_given(tmp_path: Path) -> None:
    assert ran(python("import sys, time; time.sleep(0.5); print(sys.stdin.read())"), tmp_path / "log") is None
    assert last_lines(tmp_path / "log") == ["given"]


def test_a_service_is_not_told_what_belongs_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEJIDO_S3_SECRET_KEY", "the operator's")
    monkeypatch.setenv("TEJIDO_SEARCHES_PER_MINUTE", "0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "somebody's")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("HF_TOKEN", "kept")
    environment = clean_environment(STACK, "test")
    assert environment["TEJIDO_SEARCHES_PER_MINUTE"] == "0"
    assert not {"TEJIDO_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"} & set(environment)
    assert environment["HF_TOKEN"] == "kept"


def test_memory_is_counted_for_each_service_and_at_its_peak(tmp_path: Path) -> None:
    with PeakMemory(every_s=0.05) as peak:
        process = child(
            "import time; x = bytearray(200_000_000); print('full', flush=True); time.sleep(60)", tmp_path / "l"
        )
        until = time.monotonic() + 20
        while not last_lines(tmp_path / "l"):
            assert time.monotonic() < until
            time.sleep(0.05)
        by_service = memory_by_service(family())
        time.sleep(0.5)
        process.ask_to_end(signal.SIGTERM)
        process.end(within_s=5)
    assert 190 < by_service["test"].rss_mb < 260
    assert by_service["test"].pss_mb <= by_service["test"].rss_mb
    assert peak.peak_mb > 190
    assert peak.peak_pss_mb > 190
