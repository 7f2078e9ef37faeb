"""What a run's contract is, and that nothing else is one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from security.bundles import bundle_key, verifying_key
from security.contracts import MAX_TEXT, Contract, SignedContract
from security.errors import ContractUnreadable
from tests.unit.security.contracts import ENDS, contract, signed


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return bundle_key(tmp_path / "bundle.key")


def test_what_is_signed_is_read_as_it_was(key: Path) -> None:
    for found in (contract(rounds=3, privacy="client-level"), contract(is_publishing=True)):
        told = signed(found, key)
        assert told.contract == found
        assert told.is_signed_by([verifying_key(key)])
        assert Contract.model_validate_json(found.text()).text() == found.text()


def test_a_signature_is_good_for_one_contract_alone(key: Path) -> None:
    told, other = signed(contract(), key), contract(rounds=11)
    moved = SignedContract.of({"contract": other.text(), "contract-signature": told.signature})
    assert not moved.is_signed_by([verifying_key(key)])
    assert not signed(contract()).is_signed_by([verifying_key(key)])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), junk=st.text(min_size=1, max_size=3))
def test_a_contract_that_was_changed_anywhere_is_not_signed(key: Path, place: int, junk: str) -> None:
    told = signed(contract(), key)
    place %= len(told.text)
    text = told.text[:place] + junk + told.text[place + len(junk) :]
    try:
        changed = SignedContract.of({"contract": text, "contract-signature": told.signature})
    except ContractUnreadable:
        return
    assert changed.is_signed_by([verifying_key(key)]) == (text == told.text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"run": ""},
        {"purpose": ""},
        {"purpose": "x" * 501},
        {"bundle": "a" * 63},
        {"until": "2027-05-01T00:00:00"},
        {"until": "soon"},
        {"update_bytes": 0},
        {"update_bytes": 1.5},
        {"more": 1},
        {"terms": {}},
        {"terms": {"trainable": "heads"}},
    ],
)
def test_what_is_not_understood_to_the_last_word_is_no_contract(wrong: dict[str, Any]) -> None:
    text = json.dumps(json.loads(contract().text()) | wrong)
    with pytest.raises(ContractUnreadable, match=next(iter(wrong))):
        SignedContract.of({"contract": text, "contract-signature": ""})


@pytest.mark.parametrize(
    "term",
    [
        {"trainable": "everything"},
        {"mode": "secret"},
        {"rounds": 0},
        {"rounds": True},
        {"rounds": 2.5},
        {"privacy": "some"},
        {"clip-norm": 0.0},
        {"noise-multiplier": -1.0},
        {"noise-multiplier": "1"},
        {"epsilon-budget": None},
        {"extra": 1},
    ],
)
def test_terms_that_mean_nothing_are_no_contract(term: dict[str, Any]) -> None:
    found = json.loads(contract().text())
    with pytest.raises(ContractUnreadable):
        SignedContract.of({"contract": json.dumps(found | {"terms": found["terms"] | term}), "contract-signature": ""})


@pytest.mark.parametrize(
    "carried", [{}, {"contract": ""}, {"contract": 3}, {"contract": "[" * MAX_TEXT}, {"contract": "x" * 9000}]
)
def test_a_run_without_a_contract_that_can_be_read_is_told_so(carried: dict[str, Any]) -> None:
    with pytest.raises(ContractUnreadable):
        SignedContract.of({"contract-signature": ""} | carried)
    with pytest.raises(ContractUnreadable):
        SignedContract.of({"contract": contract().text()})


def test_it_is_over_from_the_moment_that_it_names() -> None:
    told = signed(contract())
    assert told.is_over(ENDS)
    assert not told.is_over(ENDS - timedelta(seconds=1))
    assert not signed(contract(until=datetime.now(UTC) + timedelta(minutes=1))).is_over()
