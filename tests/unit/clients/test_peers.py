"""Who may mask with a client: against a coordinator that plays the others itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clients.peers import check_peers
from federation.masking.messages import told_participants
from federation.masking.participant import Participant
from federation.masking.session import Session
from security.errors import PolicyRefused
from security.receipt_keys import ReceiptKey
from security.vouchers import statement, vouch
from tests.unit.security.test_policy import policy

ABOUT: dict[str, Any] = {"run": "run", "round": 2, "attempt": 1}
NAMES = ("aurora", "boreal", "cobre")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, ReceiptKey]:
    found = {}
    for name in (*NAMES, "stranger"):
        (tmp_path / name).mkdir()
        found[name] = ReceiptKey.open(tmp_path / name)
    return found


def parts_of(public: Any) -> dict[str, bytes]:
    return {part: getattr(public, part) for part in ("channel", "mask", "commitment")}


def columns(
    keys: dict[str, ReceiptKey], *, signers: dict[str, str] | None = None, about: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the coordinator relays; ``signers`` names by whose key somebody's are vouched for."""
    told: dict[str, Any] = {}
    for name in NAMES:
        _, public = Participant.begin(name, Session("run", 2, 1))
        voucher = vouch(keys[(signers or {}).get(name, name)], statement(about or ABOUT, name, parts_of(public)))
        told[name] = type(public)(**parts_of(public), voucher=voucher)
    return told_participants(told, 3)


def refusal(keys: dict[str, ReceiptKey], told: dict[str, Any], *, peers: tuple[str, ...] = ("boreal", "cobre")) -> str:
    rules = policy(peers=[keys[name].public for name in peers])
    try:
        check_peers(rules, ABOUT, told, own=keys["aurora"].public)
    except PolicyRefused as error:
        return str(error) if error.rule == "peers" else ""
    return ""


def test_those_that_it_knows_may_mask_with_it(keys: dict[str, ReceiptKey]) -> None:
    assert not refusal(keys, columns(keys))
    # Who is known need not take part.
    assert not refusal(keys, columns(keys), peers=("boreal", "cobre", "stranger"))


def test_a_client_that_names_no_peers_masks_with_whoever_is_there(keys: dict[str, ReceiptKey]) -> None:
    check_peers(policy(), ABOUT, {}, own=keys["aurora"].public)


@pytest.mark.parametrize(
    "signers",
    [
        {"cobre": "stranger"},
        {"boreal": "stranger", "cobre": "stranger"},
        {"cobre": "boreal"},
        {"cobre": "aurora"},
        {"aurora": "boreal"},
    ],
    ids=["one invented", "all invented", "one twice", "itself twice", "in its own place"],
)
def test_an_invented_client_is_refused(keys: dict[str, ReceiptKey], signers: dict[str, str]) -> None:
    assert "is not known, or takes part twice" in refusal(keys, columns(keys, signers=signers))


@pytest.mark.parametrize("about", [{"run": "other"}, {"round": 1}, {"attempt": 2}])
def test_a_voucher_of_another_attempt_is_none(keys: dict[str, ReceiptKey], about: dict[str, Any]) -> None:
    assert refusal(keys, columns(keys, about=ABOUT | about))


@pytest.mark.parametrize("part", ["channel", "mask", "commitment", "voucher", "names"])
def test_a_key_that_was_put_in_place_of_another_is_refused(keys: dict[str, ReceiptKey], part: str) -> None:
    told = columns(keys)
    other = columns(keys)
    told[part][1] = "dusk" if part == "names" else other[part][1]
    assert "is not known" in refusal(keys, told)


@pytest.mark.parametrize(
    "change",
    [
        {"voucher": [b"", b"", b""]},
        {"voucher": [b"x" * 96] * 3},
        {"voucher": ["a", "b", "c"]},
        {"voucher": None},
        {"voucher": [b"x"]},
        {"names": None},
        {"names": [1, 2, 3]},
        {"channel": ["a", "b", "c"]},
        {"mask": []},
    ],
)
def test_what_is_not_told_as_it_must_be_is_refused(keys: dict[str, ReceiptKey], change: dict[str, Any]) -> None:
    assert refusal(keys, columns(keys) | change)


def test_every_flipped_bit_of_a_voucher_is_found(keys: dict[str, ReceiptKey]) -> None:
    told = columns(keys)
    voucher = told["voucher"][2]
    for place in range(0, 8 * len(voucher), 5):
        flipped = bytearray(voucher)
        flipped[place // 8] ^= 1 << place % 8
        assert refusal(keys, told | {"voucher": [*told["voucher"][:2], bytes(flipped)]})
