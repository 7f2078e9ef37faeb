"""What a state folder is told of clients, and how a stack follows it."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.receipts import receipts_folder
from core.errors import ClientNameInvalid
from core.limits import NO_LIMIT, Limit
from deployment.errors import HandoverInvalid
from embedded.clients import Clients
from embedded.enrolment import Enrolment, Enrolments
from embedded.environments import read_environment, receipts_dir
from embedded.errors import ClientNotEnrolled, EnrolmentFailed, EnrolmentUnreadable, RemovalUnfinished
from embedded.following import ALL, Failed, Follower
from embedded.removing import _delete, knows
from embedded.state import StateFolder, StateLock


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder.at(tmp_path / "state")


@pytest.fixture
def clients(state: StateFolder) -> Clients:
    return Clients(state, wait_s=0.3)


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and its time."""
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


def add(clients: Clients, name: str = "duna", out: Path | None = None, *, limit: Limit = None) -> list[str]:
    return list(clients.add(name, limit=limit, is_elsewhere=False, out=out).written)


def test_a_client_can_be_added_before_any_stack_ran(state: StateFolder, clients: Clients) -> None:
    assert set(add(clients)) >= {"node.key", "ca.pem", "client.env", "policy.toml", "README.md", "enrolment"}
    folder = state.root / "handover" / "duna"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (state.root / "tls" / "ca.key").exists()
    assert (folder / "node.key").read_text() == (state.secrets / "nodes" / "duna.key").read_text()
    assert Enrolments(state).clients(["aurora"]) == ("aurora", "duna")


def test_a_second_time_changes_no_byte(state: StateFolder, clients: Clients) -> None:
    add(clients, limit=7)
    kept = ("handover", "secrets", "enrolments", "tls")
    before = {name: everything(state.root / name) for name in kept}
    assert add(clients, limit=7) == []
    after = {name: everything(state.root / name) for name in kept}
    # The public key is derived anew each time: its bytes are the same.
    assert {n: {p: b for p, (b, _) in f.items()} for n, f in after.items()} == {
        n: {p: b for p, (b, _) in f.items()} for n, f in before.items()
    }
    assert after["handover"] == before["handover"]


@pytest.mark.parametrize("missing", ["node.key", "ca.pem", "client.env", "superexec", "README.md", "policy.toml"])
def test_a_folder_that_is_half_made_is_completed(state: StateFolder, clients: Clients, missing: str) -> None:
    add(clients)
    path = state.root / "handover" / "duna" / missing
    whole = path.read_bytes()
    path.unlink()
    assert add(clients) == [missing]
    assert path.read_bytes() == whole


def test_a_broken_file_and_an_open_one_are_put_right_and_the_client_s_policy_is_its_own(
    state: StateFolder, clients: Clients
) -> None:
    add(clients)
    folder = state.root / "handover" / "duna"
    (folder / "ca.pem").write_text("half")
    (folder / "node.key").chmod(0o644)
    (folder / "policy.toml").write_text("its own word")
    assert set(add(clients)) == {"ca.pem", "node.key"}
    assert (folder / "policy.toml").read_text() == "its own word"
    assert stat.S_IMODE((folder / "node.key").stat().st_mode) == 0o600


def test_another_client_s_files_are_not_touched(state: StateFolder, clients: Clients) -> None:
    add(clients, "aurora")
    before = {p: found for p, found in everything(state.root).items() if "aurora" in p and not p.endswith(".pub")}
    add(clients, "duna")
    clients.rotate("duna", out=None)
    assert {p: found for p, found in everything(state.root).items() if p in before} == before


def test_rotation_makes_every_secret_of_one_client_anew(state: StateFolder, clients: Clients, tmp_path: Path) -> None:
    add(clients)
    before = {path.name: path.read_text() for path in clients.secrets("duna")}
    policy = (state.root / "handover" / "duna" / "policy.toml").read_bytes()
    done = clients.rotate("duna", out=None)
    after = {path.name: path.read_text() for path in clients.secrets("duna")}
    assert all(after[name] != before[name] for name in before)
    assert after["duna.key"] == (done.folder / "node.key").read_text()
    assert (done.folder / "policy.toml").read_bytes() == policy
    assert Enrolments(state).all()["duna"].revision == 2


def test_limits_can_be_changed(state: StateFolder, clients: Clients) -> None:
    add(clients, limit=7)
    assert set(add(clients, limit=9)) == {"enrolment", "README.md"}
    found = Enrolments(state).all()["duna"]
    assert (found.max_examples, found.revision, found.bucket) == (9, 1, "client-duna")


def test_a_limit_stays_where_nothing_is_said_of_it_and_can_be_taken_away(state: StateFolder, clients: Clients) -> None:
    readme = state.root / "handover" / "duna" / "README.md"
    add(clients, limit=7)
    assert add(clients) == []
    assert Enrolments(state).all()["duna"].max_examples == 7
    assert "You enrolled for 7 products." in readme.read_text()
    clients.rotate("duna", out=None)
    assert Enrolments(state).all()["duna"].max_examples == 7
    assert set(add(clients, limit=NO_LIMIT)) == {"enrolment", "README.md"}
    assert Enrolments(state).all()["duna"].max_examples is None
    assert "You enrolled for all products that you are given." in readme.read_text()
    assert add(clients) == []


def test_one_that_was_removed_comes_back_without_its_former_limit(state: StateFolder, clients: Clients) -> None:
    add(clients, limit=7)
    enrolments = Enrolments(state)
    enrolments.put(dataclasses.replace(enrolments.all()["duna"], is_removed=True, is_cleared=True))
    add(clients)
    assert enrolments.all()["duna"].max_examples is None


def test_receipts_of_a_client_lie_beside_its_caches_or_where_an_older_release_began_them(state: StateFolder) -> None:
    kept, cached = state.root / "receipts", state.root / "cache" / "duna" / "receipts"
    assert receipts_dir(state, "duna") == kept
    (cached / "duna").mkdir(parents=True)
    assert receipts_dir(state, "duna") == cached
    (cached / "duna").rename(kept / "duna")
    assert receipts_dir(state, "duna") == kept


def test_a_client_elsewhere_keeps_its_receipts_in_the_folder_that_it_was_given(
    state: StateFolder, clients: Clients
) -> None:
    add(clients)
    settings = read_environment(state.root / "handover" / "duna" / "client.env")
    assert receipts_folder(settings) == Path("state") / "receipts" / "duna"


def test_one_that_was_removed_takes_no_part_and_may_come_back(state: StateFolder, clients: Clients) -> None:
    enrolments = Enrolments(state)
    enrolments.put(dataclasses.replace(Enrolment.of("aurora"), is_removed=True, revision=2))
    assert enrolments.clients(["aurora", "boreal"]) == ("boreal",)
    with pytest.raises(ClientNotEnrolled):
        clients.rotate("aurora", out=None)
    assert knows(state, "aurora")
    before = (state.root / "enrolments" / "aurora.json").read_bytes()
    with pytest.raises(RemovalUnfinished, match="was broken off"):
        add(clients, "aurora")
    assert (state.root / "enrolments" / "aurora.json").read_bytes() == before
    enrolments.put(dataclasses.replace(enrolments.all()["aurora"], is_cleared=True))
    add(clients, "aurora")
    assert not enrolments.all()["aurora"].is_cleared
    assert enrolments.clients(["boreal"]) == ("boreal", "aurora")
    assert enrolments.all()["aurora"].revision == 3


def test_a_stranger_and_a_name_that_cannot_be_are_refused(state: StateFolder, clients: Clients) -> None:
    with pytest.raises(ClientNotEnrolled, match="nobody"):
        knows(state, "nobody")
    with pytest.raises(ClientNameInvalid):
        add(clients, "../x")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "duna"}', '{"name": "other", "bucket": "b"}'])
def test_a_damaged_enrolment_is_named_and_guessed_by_nobody(state: StateFolder, text: str) -> None:
    (state.folder("enrolments") / "duna.json").write_text(text)
    with pytest.raises(EnrolmentUnreadable, match=r"duna\.json"):
        Enrolments(state).all()


def test_a_stack_that_does_not_do_it_in_time_is_told_of(state: StateFolder, clients: Clients) -> None:
    running = StateLock(state)
    running.acquire()
    try:
        assert clients.is_running()
        with pytest.raises(EnrolmentFailed, match="within 0 s"):
            add(clients)
        failed = {"enrolment": dataclasses.asdict(Enrolments(state).all()["duna"]), "why": "its store did not start"}
        (state.run / "stack.json").write_text(json.dumps({"failed": {"duna": failed}}))
        # That was before: whoever says it again waits for what comes of it now, and it is something to be done anew.
        with pytest.raises(EnrolmentFailed, match="within 0 s"):
            add(clients)
        again = Enrolments(state).all()["duna"]
        assert again.revision == 2
        failed["enrolment"] = dataclasses.asdict(dataclasses.replace(again, revision=3, is_new=False))
        (state.run / "stack.json").write_text(json.dumps({"failed": {"duna": failed}}))
        with pytest.raises(EnrolmentFailed, match="its store did not start"):
            add(clients)
    finally:
        running.release()
    assert not clients.is_running()


@pytest.mark.parametrize("lost", range(5))
def test_keys_that_were_lost_or_a_rotation_that_broke_off_are_made_anew_and_the_stack_hears_of_it(
    state: StateFolder, clients: Clients, lost: int
) -> None:
    add(clients)
    clients.secrets("duna")[lost].unlink()
    changed = add(clients)
    # Without another revision a running stack would go on with the keys that it has, which are in no file.
    assert {clients.secrets("duna")[lost].name, "enrolment"} <= set(changed)
    assert Enrolments(state).all()["duna"].revision == 2
    folder = state.root / "handover" / "duna"
    assert (folder / "node.key").read_text() == (state.secrets / "nodes" / "duna.key").read_text()
    assert add(clients) == []


def test_one_that_comes_back_has_no_key_of_before(state: StateFolder, clients: Clients) -> None:
    add(clients)
    before = {path.name: path.read_bytes() for path in clients.secrets("duna")}
    found = Enrolments(state).all()["duna"]
    Enrolments(state).put(dataclasses.replace(found, is_removed=True, is_cleared=True, revision=2))
    add(clients)
    assert all(path.read_bytes() != before[path.name] for path in clients.secrets("duna"))


def test_commands_wait_for_each_other_and_see_what_the_other_did(state: StateFolder, clients: Clients) -> None:
    add(clients)
    with ThreadPoolExecutor(4) as threads:
        with Clients(state).alone():
            removed = dataclasses.replace(Enrolments(state).all()["duna"], is_removed=True, revision=2)
            late = threads.submit(Clients(state).rotate, "duna", out=None)
            time.sleep(0.3)
            assert not late.done()
            Enrolments(state).put(removed)
        # It would have put the client back that the other command has removed.
        with pytest.raises(ClientNotEnrolled):
            late.result(timeout=10)
        assert Enrolments(state).all()["duna"] == removed
        done = [threads.submit(add, Clients(state), "estela") for _ in range(4)]
        changed = [found.result(timeout=10) for found in done]
    assert sorted(map(bool, changed)) == [False, False, False, True]
    key = (state.root / "handover" / "estela" / "node.key").read_text()
    assert key == (state.secrets / "nodes" / "estela.key").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder another user's")
@pytest.mark.parametrize("is_link", [False, True])
def test_nothing_is_handed_over_into_another_user_s_folder(clients: Clients, tmp_path: Path, is_link: bool) -> None:
    folder = theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "policy.toml").write_text("their word")
    if is_link:
        folder = tmp_path / "link"
        folder.symlink_to(theirs)
        os.chown(folder, 65534, 65534, follow_symlinks=False)
    else:
        os.chown(theirs, 65534, 65534)
    with pytest.raises(HandoverInvalid, match="another user"):
        add(clients, out=folder)
    assert [path.name for path in theirs.iterdir()] == ["policy.toml"]


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("somebody else's")
    (tmp_path / "cache").symlink_to(tmp_path / "kept")
    _delete(tmp_path / "cache")
    assert not (tmp_path / "cache").is_symlink()
    assert (tmp_path / "kept" / "file").exists()


class Told:
    """What a follower did and said."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, int, int]] = []
        self.revisions: dict[str, int] = {}
        self.failed: dict[str, tuple[int, str]] = {}
        self.threads: set[str] = set()
        self.fails: Exception | None = None

    def apply(self, enrolment: Enrolment, in_force: int) -> None:
        self.applied.append((enrolment.name, in_force, enrolment.revision))
        self.threads.add(threading.current_thread().name)
        if self.fails:
            raise self.fails

    def hear(self, done: Mapping[str, Enrolment], failed: Mapping[str, Failed]) -> None:
        self.revisions = {name: found.revision for name, found in done.items()}
        self.failed = {name: (f.enrolment.revision if f.enrolment else 0, f.why) for name, f in failed.items()}


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_follower_does_what_is_new_once_and_says_what_failed(state: StateFolder) -> None:
    enrolments, told = Enrolments(state), Told()
    enrolments.put(first := Enrolment.of("aurora"))
    follower = Follower(enrolments.all, told.apply, told.hear)
    follower.start(enrolments.all())
    try:
        assert told.revisions == {"aurora": 1}
        enrolments.put(Enrolment.of("duna"))
        wait_until(lambda: told.revisions == {"aurora": 1, "duna": 1})
        enrolments.put(dataclasses.replace(first, revision=2))
        wait_until(lambda: told.revisions["aurora"] == 2)
        assert told.applied == [("duna", 0, 1), ("aurora", 1, 2)]
        # Whatever it is, whoever waits hears of it, and the next one is done.
        told.fails = EnrolmentFailed("It did not start.")
        enrolments.put(dataclasses.replace(first, revision=3))
        wait_until(lambda: told.failed == {"aurora": (3, "It did not start.")})
        told.fails = OSError("No space left.")
        enrolments.put(dataclasses.replace(first, revision=4))
        wait_until(lambda: told.failed == {"aurora": (4, "No space left.")})
        assert told.revisions["aurora"] == 2
        told.fails = None
        enrolments.put(dataclasses.replace(first, revision=5))
        wait_until(lambda: told.revisions["aurora"] == 5 and not told.failed)
        damaged = state.folder("enrolments") / "duna.json"
        whole = damaged.read_text()
        damaged.write_text("{")
        wait_until(lambda: ALL in told.failed)
        damaged.write_text(whole)
        wait_until(lambda: not told.failed)
    finally:
        follower.stop()
    assert told.threads == {"enrolments"}
