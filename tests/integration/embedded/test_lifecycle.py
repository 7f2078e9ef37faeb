"""A stack that starts again, crashes, is interrupted or is killed: never a hang, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from core.errors import ClientNameInvalid
from embedded.errors import AirflowMissing, ClientsInvalid, PreparationFailed, ServiceCrashed, StackLocked
from embedded.layout import Parts
from embedded.postgres import data_folder
from embedded.running import Event
from embedded.stack import Stack
from embedded.state import StateFolder
from embedded.sweep import processes_of

pytestmark = pytest.mark.integration
STORES = Parts(mlflow=False, airflow=False, federation=False, api=False)
REPORTED_WITHIN_S = 30.0
RUNS_A_STACK = """
import sys
from pathlib import Path
from embedded.layout import Parts
from embedded.stack import Stack
parts = Parts(mlflow=False, airflow=False, federation=False, api=False)
with Stack(Path(sys.argv[1]), ["aurora"], parts=parts, tell=lambda e: print(e.kind, e.service, flush=True)) as stack:
    print("running", flush=True)
    stack.wait()
"""


def left_over(folder: Path) -> list[psutil.Process]:
    """Processes that belong to the state folder."""
    state = StateFolder.at(folder)
    return list(processes_of(state.stack_id, data_folder(state)))


def stores(folder: Path, **options: Callable[[Event], None]) -> Stack:
    return Stack(folder, ["aurora"], parts=STORES, **options)


def crash_of(stack: Stack) -> ServiceCrashed:
    """Watch the stack until it reports a crash."""
    until = time.monotonic() + REPORTED_WITHIN_S
    while time.monotonic() < until:
        try:
            stack.check()
        except ServiceCrashed as crash:
            return crash
        time.sleep(0.1)
    pytest.fail("the crash was not reported in time")


def test_state_ports_and_secrets_survive_a_restart(state_dir: Path) -> None:
    state_dir /= "a folder with spaces"
    with stores(state_dir) as stack:
        first = stack.settings()
        S3ObjectStore(first.platform_bucket("data")).put("kept", b"for the next start")
        with CatalogueStore(first.required("postgres_dsn")) as store:
            store.put_user("ana", "a hash", ["reader"])
    assert left_over(state_dir) == []
    with stores(state_dir) as stack:
        assert stack.settings() == first
        assert S3ObjectStore(first.platform_bucket("data")).get("kept") == b"for the next start"
        with CatalogueStore(first.required("postgres_dsn")) as store:
            assert store.user("ana") is not None


@pytest.mark.parametrize("slug", ["postgres", "valkey", "s3-client-aurora"])
def test_a_killed_service_is_reported_by_name_with_the_end_of_its_log(state_dir: Path, slug: str) -> None:
    with stores(state_dir) as stack:
        pid, name = stack.pids[slug], {"postgres": "PostgreSQL", "valkey": "Valkey"}.get(slug, "S3 of client-aurora")
        stack.check()
        os.kill(pid, signal.SIGKILL)
        crash = crash_of(stack)
    assert crash.service == name
    assert crash.message.startswith(f"{name} was killed by SIGKILL.")
    assert str(stack.log(slug)) in crash.hint
    assert left_over(state_dir) == []


def test_a_service_that_cannot_start_is_reported_and_nothing_is_left(state_dir: Path) -> None:
    with stores(state_dir):
        pass
    (state_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServiceCrashed, match="PostgreSQL ended with exit status 1") as crash:
        stores(state_dir).start()
    assert any("9" in line for line in crash.value.log_lines)
    assert left_over(state_dir) == []


def test_a_failing_preparation_is_reported_and_nothing_is_left(state_dir: Path) -> None:
    (state_dir / "postgres").mkdir()
    (state_dir / "postgres" / "data").write_text("a file where the folder must be")
    with pytest.raises(PreparationFailed, match="Making the database folder ended with exit status"):
        stores(state_dir).start()
    assert left_over(state_dir) == []


def test_two_stacks_run_side_by_side_and_end_apart(state_dir: Path, tmp_path: Path) -> None:
    notices: list[str] = []

    def note(event: Event) -> None:
        if event.kind == "notice":
            notices.append(event.text)

    with stores(state_dir) as first:
        with stores(tmp_path / "second", tell=note) as second:
            assert not set(first.urls.values()) & set(second.urls.values())
            S3ObjectStore(second.settings().platform_bucket("data")).put("here", b"only")
            assert not S3ObjectStore(first.settings().platform_bucket("data")).exists("here")
        assert any("is taken, PostgreSQL is at" in notice for notice in notices)
        first.check()
        S3ObjectStore(first.settings().platform_bucket("data")).put("alive", b"still")


def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_goes_on(state_dir: Path) -> None:
    with stores(state_dir) as first:
        with pytest.raises(StackLocked):
            stores(state_dir).start()
        first.check()


def test_a_port_that_is_taken_is_replaced_and_said(state_dir: Path) -> None:
    notices: list[Event] = []
    with stores(state_dir) as stack:
        number = int(stack.urls["Valkey"].rsplit(":", 1)[1])
    with (
        socket.create_server(("127.0.0.1", number)),
        stores(state_dir, tell=lambda event: notices.append(event) if event.kind == "notice" else None) as stack,
    ):
        assert stack.urls["Valkey"] != f"valkey://127.0.0.1:{number}"
        assert "Valkey" in {event.service for event in notices}


def hear_ctrl_c() -> None:
    """As in a terminal: a shell makes what it starts in the background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["running", "starting"])
def test_nothing_is_left_behind_however_the_stack_ends(state_dir: Path, how: signal.Signals, moment: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUNS_A_STACK, str(state_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as command:
        assert command.stdout is not None
        for line in command.stdout:
            if line.startswith("running" if moment == "running" else "starting PostgreSQL"):
                break
        command.send_signal(how)
        command.stdout.read()
        assert command.wait(timeout=REPORTED_WITHIN_S) != 0
    until = time.monotonic() + REPORTED_WITHIN_S
    while left := left_over(state_dir):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_what_a_crashed_stack_left_is_swept_at_the_next_start(state_dir: Path) -> None:
    stack = stores(state_dir)
    stack.start()
    abandoned = left_over(state_dir)
    # As after a crash of the stack and of its reaper: the processes stay, the lock is free.
    stack._lock.release()
    stack._ports.release()
    with stores(state_dir) as again:
        again.check()
        assert not any(process.is_running() for process in abandoned)
    stack.stop()


def test_clients_that_cannot_be_are_refused_before_anything_starts(state_dir: Path) -> None:
    refused = (ClientsInvalid, ClientNameInvalid)
    for clients in ([], ["aurora", "aurora"], ["../aurora"], ["Aurora"]):
        with pytest.raises(refused):
            Stack(state_dir, clients, parts=STORES).start()
    assert left_over(state_dir) == []


def test_a_missing_airflow_is_said_before_anything_starts(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEJIDO_AIRFLOW_HOME_VENV", str(state_dir / "absent"))
    with pytest.raises(AirflowMissing, match="absent") as error:
        Stack(state_dir, ["aurora"]).start()
    assert "make setup" in error.value.hint
    assert left_over(state_dir) == []


def test_a_client_is_online_again_at_once_after_the_superlink_was_killed(state_dir: Path) -> None:
    parts = Parts(mlflow=False, airflow=False, api=False)
    with Stack(state_dir, ["aurora"], parts=parts) as stack:
        await_online(stack)
        os.kill(stack.pids["superlink"], signal.SIGKILL)
    # The database still has the client as online, which Flower takes for a second one of the same name.
    assert node_status(state_dir) == "online"
    with Stack(state_dir, ["aurora"], parts=parts) as stack:
        await_online(stack)


def node_status(state_dir: Path) -> str:
    """What the SuperLink's database says of the only node."""
    with closing(sqlite3.connect(state_dir / "superlink" / "state.db")) as connection:
        return str(connection.execute("SELECT status FROM node").fetchone()[0])


def await_online(stack: Stack) -> None:
    """Wait until the only node is online."""
    until = time.monotonic() + REPORTED_WITHIN_S
    while node_status(stack.state.root) != "online":
        stack.check()
        assert time.monotonic() < until, "the client did not come online"
        time.sleep(0.2)


def test_a_killed_service_can_be_started_anew_and_keeps_its_state(state_dir: Path) -> None:
    with stores(state_dir) as stack:
        store = S3ObjectStore(stack.settings().platform_bucket("data"))
        store.put("kept", b"for the next start")
        os.kill(stack.pids["s3-platform"], signal.SIGKILL)
        until = time.monotonic() + REPORTED_WITHIN_S
        while stack.ended() != ["s3-platform"] and time.monotonic() < until:
            time.sleep(0.1)
        stack.restart("s3-platform")
        stack.check()
        assert stack.ended() == []
        assert store.get("kept") == b"for the next start"
    assert left_over(state_dir) == []
