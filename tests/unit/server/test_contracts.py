"""Contracts on the coordinator's side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.objects import DirectoryStore
from clients.contracts import Contracts
from federation.config import FederationConfig
from security.bundles import bundle_key, verifying_key
from security.contracts import SignedContract
from server.contracts import RunContract, kept_contracts, publishing_contract, signed_settings, training_contract

BUNDLE = "a" * 64
CONFIG = FederationConfig(preset="tiny", rounds=4, purpose="Try.", update_bytes=123)


def carried(tmp_path: Path, config: FederationConfig = CONFIG) -> dict[str, Any]:
    contract = training_contract("run", config, limit_s=600)(BUNDLE, "c0ffee")
    return dict(signed_settings(contract, bundle_key(tmp_path / "key")))


def of(tmp_path: Path, **more: Any) -> RunContract:
    found = RunContract.of(carried(tmp_path, **more), DirectoryStore(tmp_path / "store"), "run")
    assert found is not None
    return found


def test_a_run_s_contract_says_what_its_settings_say(tmp_path: Path) -> None:
    signed = SignedContract.of(carried(tmp_path))
    assert signed.is_signed_by([verifying_key(tmp_path / "key")])
    found = signed.contract
    assert (found.run, found.purpose, found.bundle, found.commit) == ("run", "Try.", BUNDLE, "c0ffee")
    assert found.update_bytes == 123
    assert found.terms is not None
    settings = CONFIG.to_run_config()
    assert found.terms.named() == {name: settings[name] for name in found.terms.named()}
    left = found.until - datetime.now(UTC)
    assert timedelta(seconds=600) < left < timedelta(seconds=700)


def test_a_wave_trains_nothing() -> None:
    found = publishing_contract("wave", limit_s=60)(BUNDLE, "")
    assert found.terms is None
    assert signed_settings(found, None)["contract-signature"] == ""


def test_a_simulation_has_none(tmp_path: Path) -> None:
    assert RunContract.of({"contract": "", "contract-signature": ""}, DirectoryStore(tmp_path), "run") is None


def test_every_client_s_signature_is_kept(tmp_path: Path) -> None:
    run = of(tmp_path)
    for client in ("boreal", "aurora"):
        told = Contracts(tmp_path / client, client).sign(run.signed)
        assert run.hear(client, told) == ""
    (kept,) = kept_contracts(run.store, "run")
    assert kept["clients"] == {"aurora": True, "boreal": True}
    assert (kept["sha256"], kept["is_signed"]) == (run.signed.sha256, True)
    assert kept["contract"]["terms"]["rounds"] == 4
    assert list(run.as_dict()["clients"]) == ["aurora", "boreal"]


@pytest.mark.parametrize(
    "told", [{}, {"key": "00", "signature": "00"}, {"key": 3, "signature": None}, {"key": "g" * 64, "signature": ""}]
)
def test_what_is_no_signature_is_told(tmp_path: Path, told: dict[str, object]) -> None:
    run = of(tmp_path)
    assert run.hear("aurora", told) == "it has not signed the run's contract"
    assert kept_contracts(run.store, "run") == []


def test_the_signature_of_another_contract_counts_for_nothing(tmp_path: Path) -> None:
    run, other = of(tmp_path), of(tmp_path, config=FederationConfig(preset="tiny", rounds=5))
    assert run.hear("aurora", Contracts(tmp_path / "aurora", "aurora").sign(other.signed))
    # Nor does one that another client made, or the same key for something else.
    assert run.hear("boreal", Contracts(tmp_path / "aurora", "aurora").sign(run.signed))
    told = Contracts(tmp_path / "aurora", "aurora").sign(run.signed)
    assert run.hear("aurora", told | {"signature": told["signature"][::-1]})


def test_one_that_was_changed_afterwards_does_not_hold(tmp_path: Path) -> None:
    run = of(tmp_path)
    run.hear("aurora", Contracts(tmp_path / "aurora", "aurora").sign(run.signed))
    (name,) = run.store.list("run/contracts/")
    run.store.put(name, run.store.get(name).replace(b"Try.", b"Tri."))
    (kept,) = kept_contracts(run.store, "run")
    assert kept["clients"] == {"aurora": False}
