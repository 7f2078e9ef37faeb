"""A client in a confidential round against a coordinator that wants to know its update, and against being restarted."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from catalog.manifest import ClientManifest
from catalog.objects import DirectoryStore
from catalog.shards import write_shards
from clients.app import app
from clients.promises import KEPT_S, Promises
from clients.receipts import receipts_folder
from core.settings import Settings
from federation.masking.grid import SumGrid
from federation.masking.keys import PublicKeys
from federation.masking.messages import (
    read_public,
    read_revealed,
    read_sealed,
    told_left,
    told_participants,
    told_sealed,
)
from federation.masking.session import Session, threshold_of
from federation.masking.unmasking import Unmasking
from federation.privacy.clipping import clip
from federation.tensors import Tensors, count
from federation.wire import from_record, to_record, unpack_lanes
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING
from tests.models import tiny_config, tiny_state
from tests.unit.clients.test_learning import PRESET, START, product
from tests.unit.server.federation import RUN
from tests.unit.server.masked import NAMES, Market, asked, play

TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
EVERYBODY = tuple(NAMES.values())


def code(reply: Message) -> str:
    return str(reply.content.config_records["refusal"]["message"])


@dataclasses.dataclass
class Stopped:
    """A round that has gone up to the point where all have masked; a coordinator may now ask for anything."""

    market: Market

    def ask(self, name: str, kind: str, **more: Any) -> Message:
        reply = self.market.merchants[name].answer(asked(kind, **more))
        assert reply is not None
        return reply


@pytest.fixture
def stopped(tmp_path: Path) -> Stopped:
    market = Market(tmp_path)
    hold: dict[str, Any] = dict.fromkeys([REVEALING], lambda message: None)
    for merchant in market.merchants.values():
        merchant.gone = dict(hold)
    with pytest.raises(Exception, match="0 of 5 updates count"):
        play(market)
    return Stopped(market)


def left(survivors: tuple[str, ...], dropped: tuple[str, ...] = ()) -> dict[str, Any]:
    return told_left(survivors, dropped)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (left(EVERYBODY, ("boreal",)), "both secrets"),
        (left(EVERYBODY[:2], EVERYBODY[2:]), "2 participants are left; 3 are needed"),
        (left(EVERYBODY[:3]), "are not those who shared"),
        (left(EVERYBODY[1:], EVERYBODY[:1]), "is said to have dropped out"),
        ({"survivors": list(EVERYBODY)}, "no list of dropped"),
        ({"survivors": 3, "dropped": []}, "no list of survivors"),
        ({}, "no list of survivors"),
    ],
)
def test_request_that_would_unmask_an_update_is_refused_and_ends_the_round(
    request_: dict[str, Any], why: str, stopped: Stopped
) -> None:
    assert why in code(stopped.ask("aurora", REVEALING, left=request_))
    assert "no keys for the round" in code(stopped.ask("aurora", REVEALING, left=left(EVERYBODY)))


def test_it_reveals_once(stopped: Stopped) -> None:
    assert "revealed" in stopped.ask("aurora", REVEALING, left=left(EVERYBODY)).content
    assert "no keys for the round" in code(stopped.ask("aurora", REVEALING, left=left(EVERYBODY)))


def test_two_processes_that_are_asked_at_once_do_not_both_answer(stopped: Stopped) -> None:
    """Flower gives each message's process a copy of the state as it was."""
    merchant = stopped.market.merchants["aurora"]
    before = copy.deepcopy(merchant.context.state)
    assert "revealed" in stopped.ask("aurora", REVEALING, left=left(EVERYBODY)).content
    merchant.context.state = before
    again = stopped.ask("aurora", REVEALING, left=left(EVERYBODY[:4], EVERYBODY[4:]))
    assert "asked to reveal twice" in code(again)


def test_it_shares_once_even_if_two_processes_are_asked_at_once(tmp_path: Path) -> None:
    market = Market(tmp_path)
    keys = {
        name: read_public(dict(market.merchants[name].answer(asked(ADVERTISING)).content.config_records["keys"]))
        for name in EVERYBODY
    }
    merchant = market.merchants["aurora"]
    before = copy.deepcopy(merchant.context.state)
    assert "shares" in merchant.answer(asked(SHARING, participants=told_participants(keys, 3))).content
    merchant.context.state = before
    fewer = {name: keys[name] for name in EVERYBODY[:3]}
    assert "asked to share twice" in code(merchant.answer(asked(SHARING, participants=told_participants(fewer, 3))))


def test_it_masks_once_even_if_two_processes_are_asked_at_once(tmp_path: Path) -> None:
    market = Market(tmp_path)
    merchant = market.merchants["aurora"]
    kept: list[RecordDict] = []
    questions: list[Message] = []

    def twice(message: Message) -> Message:
        kept.append(copy.deepcopy(merchant.context.state))
        questions.append(message)
        return merchant.answer(message)

    merchant.gone = {MASKING: twice}
    play(market)
    merchant.context.state = kept[0]
    assert "asked to mask twice" in code(merchant.answer(questions[0]))


def test_a_round_that_is_repeated_gives_the_same_sum_or_none(tmp_path: Path) -> None:
    """Two sums of one round that differ by one client tell its update: it trains alike each time."""
    market = Market(tmp_path)
    assert play(market).total.replies == 5
    # The coordinator claims to have lost it, and goes on; as one whose process was killed would.
    assert play(market).total.replies == 5
    market.leave(["boreal"], MASKING)
    with pytest.raises(Exception, match="it has helped to unmask the sum of other clients' updates"):
        play(market)
    assert play(market, round_number=2).total.replies == 4


def test_message_of_another_attempt_or_round_is_refused(stopped: Stopped) -> None:
    for wrong in ({"attempt": 2}, {"round_number": 2}):
        assert "the message is about" in code(stopped.ask("aurora", REVEALING, left=left(EVERYBODY), **wrong))


def test_threshold_and_participants_are_checked(tmp_path: Path) -> None:
    market = Market(tmp_path)
    keys: dict[str, PublicKeys] = {}
    for name in EVERYBODY:
        told = market.merchants[name].answer(asked(ADVERTISING)).content.config_records["keys"]
        keys[name] = read_public(dict(told))
    few = {name: keys[name] for name in EVERYBODY[:2]}
    for participants, why in (
        (told_participants(few, 3), "3 to 256"),
        (told_participants(keys, 2), "at least 3 must be needed"),
        (told_participants({**keys, "aurora": keys["boreal"]}, 3), "not those that it advertised"),
        ({**told_participants(keys, 3), "names": ["aurora"] * 5}, "twice"),
        ({**told_participants(keys, 3), "mask": [b"short"] * 5}, "32 bytes"),
        ({**told_participants(keys, 3), "mask": []}, "all keys of each"),
        ({**told_participants(keys, 3), "threshold": "3"}, "no number"),
        ({}, "no number"),
    ):
        assert why in code(market.merchants["aurora"].answer(asked(SHARING, participants=participants)))
    assert (
        "shares" in market.merchants["aurora"].answer(asked(SHARING, participants=told_participants(keys, 3))).content
    )


def test_restarted_client_has_no_keys_and_says_so(stopped: Stopped) -> None:
    stopped.market.merchants["aurora"].context.state = RecordDict()
    assert "its process was restarted" in code(stopped.ask("aurora", REVEALING, left=left(EVERYBODY)))


def test_nothing_on_its_disk_is_a_secret(stopped: Stopped, tmp_path: Path) -> None:
    state = stopped.market.merchants["aurora"].context.state.config_records["masking"]["participant"]
    stopped.ask("aurora", REVEALING, left=left(EVERYBODY))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name.split("-")[0] for path in files} == {"share", "mask", "reveal", "sum"}
    assert isinstance(state, bytes)
    for path in files:
        assert path.read_bytes() in (b"", "\n".join(EVERYBODY).encode())
    # What it keeps itself, until it reveals, is what it holds for others, and no secret of its own.
    assert b'"secret": null' in state


def test_old_promises_are_forgotten_and_young_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "aurora"
    promises = Promises(folder)
    for number in (1, 2):
        promises.one_sum(Session(RUN, number, 1), ["a", "b", "c"])
    first = min(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    os.utime(first, (0, time.time() - KEPT_S - 10))
    promises.one_sum(Session(RUN, 3, 1), ["a", "b", "c"])
    assert (len(list(folder.iterdir())), first.exists()) == (2, False)


def test_note_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content before its name, and its name, with the folders that are new, before anything is answered."""
    done: list[str] = []
    sync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        sync(descriptor)
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split("-")[0])

    def linked(*paths: Path) -> None:
        link(*paths)
        done.append("link")

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.link", linked)
    Promises(tmp_path / "notes" / "masking").one_sum(Session(RUN, 1, 1), ["a", "b", "c"])
    assert done == [tmp_path.name.split("-")[0], "notes", ".sum", "link", "masking"]


def test_note_that_goes_while_others_are_looked_through_is_no_matter(tmp_path: Path) -> None:
    """As where another process forgets at the same time: listed, and there no more."""
    (tmp_path / ".gone").symlink_to(tmp_path / "nowhere")
    Promises(tmp_path).one_sum(Session(RUN, 1, 1), ["a", "b", "c"])
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 1


def test_what_a_client_has_promised_lies_beside_its_receipts(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, client_name="aurora", cache_dir=tmp_path / "cache", receipts_dir=tmp_path / "kept"
    )
    Promises.of(settings, "aurora").one_sum(Session(RUN, 1, 1), ["a", "b", "c"])
    (note,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert note.parent == receipts_folder(settings) / "masking" == tmp_path / "kept" / "aurora" / "masking"


# The ClientApp itself -----------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A simulation's folder with three clients."""
    for number, name in enumerate(EVERYBODY[:3]):
        store = DirectoryStore(tmp_path / f"client-{name}")
        shards = write_shards(store, "partitions/v1", [product(i) for i in range(6 + number)])
        store.put("manifest.json", ClientManifest("v1", tuple(shards), 6 + number).to_json())
    monkeypatch.setenv("TEJIDO_SIMULATION_DIR", str(tmp_path))
    monkeypatch.setenv("TEJIDO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def context(partition: int) -> Context:
    return Context(run_id=1, node_id=1, node_config={"partition-id": partition}, state=RecordDict(), run_config={})


def told(kind: str, contexts: list[Context], number: int, config: Any, **records: Mapping[str, Any]) -> Message:
    """The real ClientApp's reply."""
    about: dict[str, Any] = {
        "run": "run-1",
        "round": 1,
        "attempt": 1,
        "catalogue-version": "v1",
        "base-hash": PRESET.base_hash,
    }
    content = RecordDict({"config": ConfigRecord({**config.to_run_config(), **about})})
    if kind.startswith(MessageType.TRAIN):
        content["arrays"] = to_record(START)
    for name, record in records.items():
        content[name] = ConfigRecord(dict(record))
    return app(Message(content, dst_node_id=1, message_type=kind, group_id="1"), contexts[number])


def test_three_client_apps_mask_what_they_learn_and_its_sum_is_that_of_their_clipped_deltas(root: Path) -> None:
    config = tiny_config(local_epochs=1, mode="confidential", clip_norm=0.05)
    contexts = [context(number) for number in range(3)]
    names, session, threshold = EVERYBODY[:3], Session("run-1", 1, 1), threshold_of(3)
    keys = {}
    for number, name in enumerate(names):
        record = told(ADVERTISING, contexts, number, config).content.config_records["keys"]
        keys[name] = read_public(dict(record))
    sealed = {}
    for number, name in enumerate(names):
        reply = told(SHARING, contexts, number, config, participants=told_participants(keys, threshold))
        sealed[name] = read_sealed(dict(reply.content.config_records["shares"]))
    total = np.zeros(count(START), np.uint32)
    for number, name in enumerate(names):
        shares = {sender: found[name] for sender, found in sealed.items() if sender != name}
        reply = told(MASKING, contexts, number, config, shares=told_sealed(shares))
        assert reply.content.metric_records["metrics"]["num-examples"] == 6 + number
        total += unpack_lanes(reply.content.array_records["arrays"], size=total.size)
    revealed = {}
    for number, name in enumerate(names):
        reply = told(REVEALING, contexts, number, config, left=told_left(names, ()))
        revealed[name] = read_revealed(dict(reply.content.config_records["revealed"]), names, ())
        assert not len(contexts[number].state)
    Unmasking(session, keys, names, (), threshold).of(total, revealed)
    found = SumGrid.of(config, participants=3, threshold=threshold).decode(total, like=START)
    plain: Tensors = {name: np.zeros_like(array) for name, array in START.items()}
    visible = dataclasses.replace(config, mode="robust")
    for number in range(3):
        reply = told(MessageType.TRAIN, contexts, number, visible)
        delta = clip(from_record(reply.content.array_records["arrays"], like=START), 0.05 * (1 - 1e-5))
        plain = {name: plain[name] + delta[name] for name in plain}
    errors = np.concatenate([(found[name] - plain[name]).ravel() for name in plain])
    assert np.sqrt(np.square(errors.astype(np.float64)).mean()) < 1e-6
    assert max(np.abs(array).max() for array in found.values()) > 1e-4
    assert set(found) == set(tiny_state())


def test_run_of_one_mode_is_not_answered_in_the_other(root: Path) -> None:
    contexts = [context(0)]
    confidential = tiny_config(local_epochs=1, mode="confidential")
    assert "asked for an update as a robust one" in code(told(MessageType.TRAIN, contexts, 0, confidential))
    assert "asked for an update as a confidential one" in code(told(MASKING, contexts, 0, tiny_config()))
    assert "no keys for the round" in code(told(MASKING, contexts, 0, confidential))


def test_client_that_cannot_note_what_it_does_refuses_in_words_and_does_nothing(root: Path) -> None:
    config, contexts = tiny_config(mode="confidential"), [context(number) for number in range(3)]
    keys = {}
    for number, name in enumerate(EVERYBODY[:3]):
        keys[name] = read_public(dict(told(ADVERTISING, contexts, number, config).content.config_records["keys"]))
    blocked = root / "cache" / "aurora"
    blocked.mkdir(parents=True)
    (blocked / "masking").write_text("a file where the folder must be")
    reply = told(SHARING, contexts, 0, config, participants=told_participants(keys, 3)).content
    assert reply.config_records["refusal"]["code"] == "clients.promise_unwritable"
    assert "What it has done in the round cannot be noted: " in str(reply.config_records["refusal"]["message"])
    assert str(root) not in str(dict(reply.config_records["refusal"]))
    assert set(reply.keys()) == {"refusal"}
