"""A client's own copies of the contracts that it signed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from clients.contracts import Contracts
from clients.errors import ReceiptsDamaged
from clients.receipts import Receipts
from tests.unit.security.contracts import contract, signed


def kept_in(folder: Path) -> list[Path]:
    return sorted((folder / "contracts").iterdir())


def test_a_contract_is_signed_alike_and_kept_once(tmp_path: Path) -> None:
    first, other = signed(contract()), signed(contract(rounds=3))
    told = Contracts(tmp_path, "aurora").sign(first)
    assert Contracts(tmp_path, "aurora").sign(first) == told
    assert Contracts(tmp_path, "aurora").sign(other)["key"] == told["key"]
    assert {entry["sha256"] for entry in Contracts(tmp_path, "aurora").read()} == {first.sha256, other.sha256}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept_in(tmp_path))


def test_who_has_signed_nothing_has_no_contracts_and_gets_no_key_by_looking(tmp_path: Path) -> None:
    assert list(Contracts(tmp_path / "new", "aurora").read()) == []
    assert not (tmp_path / "new").exists()


def test_a_key_that_was_lost_is_not_replaced_in_silence(tmp_path: Path) -> None:
    Contracts(tmp_path, "aurora").sign(signed(contract()))
    (tmp_path / "receipts.key").unlink()
    with pytest.raises(ReceiptsDamaged, match="lost their key"):
        list(Contracts(tmp_path, "aurora").read())
    with pytest.raises(ReceiptsDamaged, match="lost their key"):
        Contracts(tmp_path, "aurora").sign(signed(contract(rounds=3)))
    with pytest.raises(ReceiptsDamaged, match="lost their key"):
        Receipts(tmp_path).append({"round": 1})
    assert not (tmp_path / "receipts.key").exists()


def test_where_receipts_have_lost_their_key_no_contract_is_signed_by_another(tmp_path: Path) -> None:
    Receipts(tmp_path).append({"round": 1})
    (tmp_path / "receipts.key").unlink()
    with pytest.raises(ReceiptsDamaged, match="lost their key"):
        Contracts(tmp_path, "aurora").sign(signed(contract()))
    with pytest.raises(ReceiptsDamaged, match="lost their key"):
        _ = Contracts(tmp_path, "aurora").key
    assert not (tmp_path / "receipts.key").exists()
    assert not list(Contracts(tmp_path, "aurora").read())


@pytest.mark.parametrize("change", ["contract", "signature", "operator", "at the name", "no JSON"])
def test_a_copy_that_was_changed_is_named(tmp_path: Path, change: str) -> None:
    Contracts(tmp_path, "aurora").sign(signed(contract()))
    (path,) = kept_in(tmp_path)
    kept = json.loads(path.read_text())
    if change == "at the name":
        path = path.rename(path.with_name(f"{'0' * 64}.json"))
    elif change == "no JSON":
        path.write_text("{")
    elif change == "operator":
        path.write_text(json.dumps(kept | {"operator": 3}))
    elif change == "contract":
        path.write_text(json.dumps(kept | {"contract": contract(rounds=9).text()}))
    else:
        path.write_text(json.dumps(kept | {"signature": "00" * 64}))
    with pytest.raises(ReceiptsDamaged, match=path.name):
        list(Contracts(tmp_path, "aurora").read())
