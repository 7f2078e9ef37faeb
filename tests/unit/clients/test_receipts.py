from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from typer.testing import CliRunner

from cli.client.receipts import receipts
from clients.errors import ReceiptsDamaged, ReceiptUnwritable
from clients.own_key import LOG
from clients.promises import Promises
from clients.receipts import Receipts, note_what_leaves, receipts_folder, receipts_of, signing_key
from core.settings import Settings
from federation.config import FederationConfig
from federation.errors import FederationConfigError, MaskingRefused
from federation.masking.session import Session
from federation.wire import to_record
from security.errors import ReceiptKeyUnreadable
from security.receipt_keys import FILE, ReceiptKey

TENSORS = {"heads.weight": np.ones((4, 3), np.float32), "heads.scale": np.zeros((), np.float32)}
ASKED = {
    "run": "run-1", "round": 2, "attempt": 0, "encoding": "int8", "privacy": "client-level", "clip-norm": 0.5,
}  # fmt: skip
METRICS = {"metrics": MetricRecord({"num-examples": 17, "loss": 0.25})}
CONFIGS = {"receipt": ConfigRecord({"run": "run-1", "round": 2, "skipped-reasons": ["unreadable"], "seed": b"\0\xff"})}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, client_name="aurora", cache_dir=tmp_path / "cache")


@pytest.fixture
def log(settings: Settings) -> Path:
    return settings.features_dir / "receipts" / "aurora" / LOG


def send(settings: Settings, arrays: ArrayRecord | None = None, **asked: Any) -> None:
    record = to_record(TENSORS, encoding="int8") if arrays is None else arrays
    note_what_leaves(settings, ASKED | asked, {"arrays": record}, METRICS, CONFIGS)


def test_receipt_says_what_left(settings: Settings, log: Path) -> None:
    send(settings)
    (found,) = receipts_of(settings).read()
    assert [(tensor["name"], tensor["dtype"], tensor["shape"]) for tensor in found["tensors"]] == [
        ("heads.weight", "int8", [4, 3]), ("heads.weight:scale", "float32", [4]), ("heads.scale", "float32", []),
    ]  # fmt: skip
    assert found["bytes"] == sum(tensor["bytes"] for tensor in found["tensors"]) > 0
    told = {name: found[name] for name in ("client", "what", "run", "round", "clip_norm", "privacy", "mode", "told")}
    assert told == {
        "client": "aurora", "what": "update", "run": "run-1", "round": 2, "clip_norm": 0.5, "privacy": "client-level",
        "mode": "robust", "told": {"num-examples": 17, "loss": 0.25},
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in (log, log.parent / FILE)} == {0o600}


def test_hash_is_of_what_is_sent(settings: Settings) -> None:
    send(settings)
    send(settings)
    send(settings, to_record({**TENSORS, "heads.scale": np.ones((), np.float32)}, encoding="int8"))
    one, same, other = (receipt["sha256"] for receipt in receipts_of(settings).read())
    assert one == same != other


@pytest.mark.parametrize(
    ("metrics", "configs"),
    [
        ({"metrics": MetricRecord({"num-examples": 17, "loss": 0.5})}, CONFIGS),
        ({"other": METRICS["metrics"]}, CONFIGS),
        ({}, CONFIGS),
        (METRICS, {"receipt": ConfigRecord({**CONFIGS["receipt"], "round": 3})}),
        (METRICS, {"receipt": ConfigRecord({**CONFIGS["receipt"], "seed": b"\0\xfe"})}),
        (METRICS, {"receipt": ConfigRecord({**CONFIGS["receipt"], "seed": "00ff"})}),
        (METRICS, CONFIGS | {"page": ConfigRecord({"products": "[]"})}),
        (METRICS, {}),
    ],
)
def test_hash_is_of_metrics_and_all_other_records_too(settings: Settings, metrics: Any, configs: Any) -> None:
    arrays = {"arrays": to_record(TENSORS)}
    for told in ((METRICS, CONFIGS), (METRICS, CONFIGS), (metrics, configs)):
        note_what_leaves(settings, ASKED, arrays, *told)
    one, same, other = receipts_of(settings).read()
    assert one["sha256"] == same["sha256"] != other["sha256"]
    assert one["records"] == ["arrays", "metrics", "receipt"]
    assert other["records"] == sorted(["arrays", *metrics, *configs])


def test_question_about_a_page_is_noted_as_one(settings: Settings) -> None:
    note_what_leaves(settings, {"page": 3}, {"arrays": to_record(TENSORS)}, {}, {})
    (found,) = receipts_of(settings).read()
    assert (found["what"], found["page"], found["run"], found["clip_norm"]) == ("page", 3, None, None)


def test_neither_a_refusal_nor_a_virtual_client_leaves_a_receipt(settings: Settings, tmp_path: Path) -> None:
    note_what_leaves(settings, ASKED, {}, METRICS, CONFIGS)
    note_what_leaves(Settings(_env_file=None, cache_dir=tmp_path), ASKED, {"arrays": to_record(TENSORS)}, {}, {})
    assert not list(tmp_path.rglob("*.jsonl"))


def test_every_flipped_byte_is_found(settings: Settings, log: Path) -> None:
    for number in range(3):
        send(settings, ArrayRecord({}), round=number)
    whole = log.read_bytes()
    for at in range(len(whole)):
        log.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(ReceiptsDamaged):
            list(receipts_of(settings).read())


@pytest.mark.parametrize("order", [[1, 2], [0, 2], [0, 2, 1], [0, 0, 1, 2], [2]])
def test_removed_moved_or_repeated_lines_are_found(settings: Settings, log: Path, order: list[int]) -> None:
    for number in range(3):
        send(settings, round=number)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(ReceiptsDamaged, match="is not what was written"):
        list(receipts_of(settings).read())


def test_receipts_of_another_key_are_no_receipts(settings: Settings, log: Path) -> None:
    send(settings)
    (log.parent / FILE).unlink()
    ReceiptKey.open(log.parent)
    with pytest.raises(ReceiptsDamaged, match="is not what was written"):
        list(receipts_of(settings).read())
    (log.parent / FILE).write_bytes(b"no key")
    with pytest.raises(ReceiptKeyUnreadable):
        send(settings)


def test_where_the_key_is_lost_nothing_is_noted_by_another(settings: Settings, log: Path) -> None:
    send(settings)
    before, key = log.read_bytes(), (log.parent / FILE).read_bytes()
    (log.parent / FILE).unlink()
    with pytest.raises(ReceiptsDamaged, match="of aurora have lost their key"):
        list(receipts_of(settings).read())
    with pytest.raises(ReceiptsDamaged, match="of aurora have lost their key"):
        send(settings)
    with pytest.raises(ReceiptsDamaged, match="of aurora have lost their key"):
        signing_key(settings)
    assert log.read_bytes() == before
    assert not (log.parent / FILE).exists()
    (log.parent / FILE).write_bytes(key)
    send(settings)
    assert len(list(receipts_of(settings).read())) == 2


def test_first_receipt_that_broke_off_before_its_key_was_made_stops_nothing(settings: Settings, log: Path) -> None:
    log.parent.mkdir(parents=True)
    log.touch()
    send(settings)
    assert len(list(receipts_of(settings).read())) == 1


def test_line_that_a_crash_tore_goes_with_the_next_one(settings: Settings, log: Path) -> None:
    send(settings)
    send(settings)
    with log.open("ab") as file:
        file.write(b'{"key":"half a li')
    with pytest.raises(ReceiptsDamaged):
        list(receipts_of(settings).read())
    send(settings)
    assert [receipt["number"] for receipt in receipts_of(settings).read()] == [1, 2, 3]


def test_only_line_that_a_crash_tore_goes_too(settings: Settings, log: Path) -> None:
    send(settings)
    log.write_bytes(log.read_bytes()[:40])
    send(settings)
    assert [receipt["number"] for receipt in receipts_of(settings).read()] == [1]


def test_long_receipts_are_chained(settings: Settings) -> None:
    """Longer than what is read at once to find the last line."""
    many = to_record({f"block.{number}.weight": np.zeros(1, np.float32) for number in range(2000)})
    for _ in range(3):
        send(settings, many)
    assert [receipt["number"] for receipt in receipts_of(settings).read()] == [1, 2, 3]


def test_processes_that_write_at_once_keep_the_chain(tmp_path: Path) -> None:
    log = Receipts(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Receipts(tmp_path).append({"round": number}), range(40)))
    found = list(log.read())
    assert [receipt["number"] for receipt in found] == list(range(1, 41))
    assert sorted(receipt["round"] for receipt in found) == list(range(40))


def test_what_cannot_be_noted_is_an_error_with_a_code(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    elsewhere = settings.model_copy(update={"receipts_dir": tmp_path / "file"})
    with pytest.raises(ReceiptUnwritable, match="Nothing leaves"):
        send(elsewhere)


def test_damaged_last_receipt_stops_the_next(settings: Settings, log: Path) -> None:
    send(settings)
    with log.open("ab") as file:
        file.write(b"no receipt\n")
    with pytest.raises(ReceiptsDamaged):
        send(settings)


def test_command_verifies_and_shows(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(settings)
    send(settings, run="run-2")
    env_file = tmp_path / "client.env"
    env_file.write_text(f"TEJIDO_CLIENT_NAME=aurora\nTEJIDO_CACHE_DIR={settings.features_dir}\n")
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(env_file))
    app = typer.Typer()
    app.command()(receipts)
    answer = CliRunner().invoke(app, ["--run", "run-2", "--format", "json"])
    found = json.loads(answer.stdout)
    assert (found["client"], found["verified"], [r["number"] for r in found["receipts"]]) == ("aurora", 2, [2])
    assert "run-1" in CliRunner().invoke(app, []).stdout


@pytest.mark.parametrize(
    ("asked", "clip_norm"),
    [
        ({"mode": "robust", "privacy": "none"}, None),
        ({"mode": "confidential", "privacy": "none"}, 0.5),
        ({"mode": "robust", "privacy": "client-level"}, 0.5),
        ({"mode": "confidential", "privacy": "client-level"}, 0.5),
    ],
)
def test_receipt_says_to_what_an_update_was_clipped_in_the_runs_that_clip(
    asked: dict[str, Any], clip_norm: float | None, settings: Settings
) -> None:
    """As the run's own config says which those are."""
    send(settings, **asked)
    (found,) = receipts_of(settings).read()
    assert {name: found[name] for name in ("mode", "privacy", "clip_norm")} == {**asked, "clip_norm": clip_norm}
    config = FederationConfig.from_run_config(ASKED | {"encoding": "fp32"} | asked)
    assert config.counts_alike == (clip_norm is not None)


def test_update_of_a_mode_that_is_none_does_not_leave(settings: Settings, log: Path) -> None:
    with pytest.raises(FederationConfigError, match="mode is 'secret'"):
        send(settings, mode="secret")
    assert not log.exists()


def kept(**more: Any) -> Path:
    return receipts_folder(Settings(_env_file=None, client_name="aurora", **more))


def test_receipts_and_promises_are_no_cache(tmp_path: Path) -> None:
    places = {"state_dir": tmp_path / "state", "cache_dir": tmp_path / "cache"}
    assert kept(**places) == tmp_path / "state" / "receipts" / "aurora"
    assert kept(state_dir=tmp_path / "state") == tmp_path / "state" / "receipts" / "aurora"
    assert kept(**places, receipts_dir=tmp_path / "told") == tmp_path / "told" / "aurora"
    # Its state folder would be another one in each folder that it is started in.
    assert kept(cache_dir=tmp_path / "cache") == tmp_path / "cache" / "receipts" / "aurora"


def test_receipts_that_an_older_release_began_in_the_cache_go_on_there_until_they_are_moved(tmp_path: Path) -> None:
    before = Settings(_env_file=None, client_name="aurora", cache_dir=tmp_path / "cache")
    now = Settings(_env_file=None, client_name="aurora", cache_dir=tmp_path / "cache", state_dir=tmp_path / "state")
    send(before)
    key = signing_key(before).public
    session = Session("run-1", 1, 1)
    Promises.of(before, "aurora").one_sum(session, ["aurora", "boreal", "cobre"])
    send(now)
    assert [receipt["number"] for receipt in receipts_of(now).read()] == [1, 2]
    with pytest.raises(MaskingRefused):
        Promises.of(now, "aurora").one_sum(session, ["aurora", "boreal", "duna"])
    (tmp_path / "state" / "receipts").mkdir(parents=True)
    (tmp_path / "cache" / "receipts" / "aurora").rename(tmp_path / "state" / "receipts" / "aurora")
    shutil.rmtree(tmp_path / "cache")
    send(now)
    assert [receipt["number"] for receipt in receipts_of(now).read()] == [1, 2, 3]
    assert signing_key(now).public == key
    with pytest.raises(MaskingRefused):
        Promises.of(now, "aurora").one_sum(session, ["aurora", "boreal", "duna"])
    assert not (tmp_path / "cache").exists()
