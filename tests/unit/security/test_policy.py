"""A client's policy: what it refuses, by which rule; and that what cannot be read allows nothing."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from security.bundles import bundle_key, verifying_key
from security.errors import PolicyInvalid, PolicyRefused
from security.policy import Asked, Policy, check, check_size, read_policy, template
from tests.unit.security.contracts import BUNDLE, TERMS, contract, signed

OTHER = "b" * 64
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
RULES: dict[str, Any] = {
    "version": 1,
    "expires": "2027-06-01",
    "signers": [],
    "bundles": [BUNDLE],
    "trainable": ["heads", "lora"],
    "modes": ["robust"],
    "min_noise_multiplier": 0.0,
    "max_rounds": 10,
    "max_update_bytes": 1000,
}
MESSAGE: dict[str, object] = TERMS | {"run": "run", "round": 1}


def policy(**rules: Any) -> Policy:
    return Policy.model_validate(RULES | rules)


def asked(*, bundle: str = BUNDLE, key: Path | None = None, is_training: bool = True, **terms: Any) -> Asked:
    """A message of a run whose contract says the same."""
    run = signed(contract(bundle=bundle, **terms), key)
    told = {name.replace("_", "-"): value for name, value in terms.items() if name != "until"}
    return Asked(bundle=bundle, contract=run, values=MESSAGE | told, is_training=is_training)


def said(values: dict[str, object] | None = None, *, is_training: bool = True, without: str = "") -> Asked:
    """A message that says something else than the contract of its run."""
    found = {name: value for name, value in (MESSAGE | (values or {})).items() if name != without}
    return Asked(bundle=BUNDLE, contract=signed(contract()), values=found, is_training=is_training)


def refused(rules: Policy, what: Asked, now: datetime = NOON) -> str:
    """The rule that refuses, or ""."""
    try:
        check(rules, what, now=now)
    except PolicyRefused as error:
        # By the message, which is all that a coordinator sees.
        return str(error).split('"')[1]
    return ""


def test_what_the_rules_allow_is_allowed() -> None:
    assert not refused(policy(), asked())


@pytest.mark.parametrize(
    ("rules", "terms", "rule"),
    [
        ({}, {"trainable": "full"}, "trainable"),
        ({}, {"mode": "confidential"}, "modes"),
        ({"modes": ["confidential"]}, {}, "modes"),
        ({"modes": ["confidential"]}, {"mode": "confidential"}, ""),
        ({}, {"rounds": 11}, "max_rounds"),
        ({"min_noise_multiplier": 1.0}, {}, "min_noise_multiplier"),
        ({"min_noise_multiplier": 1.0}, {"noise_multiplier": 2.0}, "min_noise_multiplier"),
        ({"min_noise_multiplier": 1.0}, {"privacy": "client-level", "noise_multiplier": 0.9}, "min_noise_multiplier"),
        ({"min_noise_multiplier": 1.0}, {"privacy": "client-level", "noise_multiplier": 1.0}, ""),
    ],
)
@pytest.mark.parametrize("is_training", [True, False])
def test_each_rule_refuses_a_contract_by_its_name(
    rules: dict[str, Any], terms: dict[str, Any], rule: str, *, is_training: bool
) -> None:
    assert refused(policy(**rules), asked(is_training=is_training, **terms)) == rule


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trainable", "lora"),
        ("trainable", ["heads"]),
        ("mode", None),
        ("mode", "confidential"),
        ("rounds", 9),
        ("rounds", 10.0),
        ("round", 11),
        ("round", 0),
        ("round", True),
        ("round", "1"),
        ("run", "another"),
        ("privacy", "client-level"),
        ("noise-multiplier", 0.5),
        ("noise-multiplier", float("nan")),
        ("clip-norm", 100.0),
        ("clip-norm", 1),
        ("delta", 0.01),
        ("epsilon-budget", 1000.0),
    ],
)
def test_a_message_that_says_something_else_than_its_run_s_contract_is_refused(name: str, value: object) -> None:
    assert refused(policy(), said({name: value})) == "contract"
    assert refused(policy(), said(without=name)) == "contract"
    if name != "round":  # A question's round binds nobody.
        assert refused(policy(), said({name: value}, is_training=False)) == "contract"


def test_a_question_is_held_against_what_it_says_and_may_say_nothing() -> None:
    run = signed(contract())
    assert not refused(policy(), Asked(bundle=BUNDLE, contract=run, is_training=False))
    assert refused(policy(), Asked(bundle=OTHER, contract=run, is_training=False)) == "bundle"


def test_a_run_is_about_training_or_about_what_is_published() -> None:
    training, publishing = signed(contract()), signed(contract(is_publishing=True))
    question: dict[str, Any] = {"bundle": BUNDLE, "is_training": False}
    assert not refused(policy(), Asked(contract=publishing, is_publishing=True, **question))
    assert refused(policy(), Asked(contract=training, is_publishing=True, **question)) == "contract"
    assert refused(policy(), Asked(contract=publishing, **question)) == "contract"
    assert refused(policy(), Asked(bundle=BUNDLE, contract=publishing, values=MESSAGE)) == "contract"


def test_a_bundle_is_let_in_by_its_hash_or_by_a_signed_contract_that_names_it(tmp_path: Path) -> None:
    key = bundle_key(tmp_path / "key")
    rules = policy(signers=[verifying_key(key)], bundles=[])
    assert refused(rules, asked(bundle=OTHER)) == "bundle"
    assert not refused(rules, asked(bundle=OTHER, key=key))
    # Another one under a contract that is signed.
    moved = Asked(bundle=OTHER, contract=signed(contract(), key), values=MESSAGE)
    assert refused(rules, moved) == "bundle"
    # One that is listed is still bound to its own contract.
    listed = policy(signers=[verifying_key(key)], bundles=[OTHER])
    assert refused(listed, moved) == "contract"
    assert not refused(listed, asked(bundle=OTHER))


def test_nothing_is_done_for_a_run_whose_contract_has_ended() -> None:
    for is_training in (True, False):
        assert refused(policy(), asked(is_training=is_training, until=NOON)) == "contract"
        assert not refused(policy(), asked(is_training=is_training, until=NOON + timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("at", "rule"),
    [("2027-05-31T23:59", ""), ("2027-06-01T00:00", "expires"), ("2030-01-01T00:00", "expires")],
)
def test_nothing_is_allowed_from_the_day_on_which_it_expires(at: str, rule: str) -> None:
    assert refused(policy(), asked(), datetime.fromisoformat(at).replace(tzinfo=UTC)) == rule


@pytest.mark.parametrize(
    ("at", "rule"),
    [
        ("18:59", "hours"),
        ("19:00", ""),
        ("23:30", ""),
        ("04:59", ""),
        ("05:00", "hours"),
        ("12:00", ""),
        ("13:00", "hours"),
    ],
)
def test_hours_are_those_of_the_client_s_zone_and_may_run_over_midnight(at: str, rule: str) -> None:
    rules = policy(hours=["20:00-06:00", "13:00-14:00"], timezone="Europe/Madrid")
    assert refused(rules, asked(), datetime.fromisoformat(f"2027-03-01T{at}").replace(tzinfo=UTC)) == rule


def test_more_bytes_than_allowed_do_not_leave() -> None:
    run, small = signed(contract()), signed(contract(update_bytes=500))
    check_size(policy(), run, 1000)
    check_size(policy(), small, 500)
    with pytest.raises(PolicyRefused, match="max_update_bytes"):
        check_size(policy(), run, 1001)
    with pytest.raises(PolicyRefused, match="contract"):
        check_size(policy(), small, 501)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_policy_may_be_toml_or_json(tmp_path: Path, suffix: str) -> None:
    text = json.dumps(RULES)
    if suffix == "toml":
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in RULES.items())
    (tmp_path / f"policy.{suffix}").write_text(text)
    assert read_policy(tmp_path / f"policy.{suffix}") == policy()


def test_the_template_is_a_policy_that_allows_what_the_operator_signed_for_a_year(tmp_path: Path) -> None:
    key = bundle_key(tmp_path / "key")
    (tmp_path / "policy.toml").write_text(template("duna", signer=verifying_key(key), today=date(2028, 2, 29)))
    found = read_policy(tmp_path / "policy.toml")
    assert found.expires == date(2029, 2, 28)
    assert not refused(found, asked(bundle=OTHER, key=key))
    assert refused(found, asked()) == "bundle"


@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_that_is_left_out_makes_the_whole_policy_invalid(tmp_path: Path, name: str) -> None:
    (tmp_path / "policy.json").write_text(json.dumps({key: value for key, value in RULES.items() if key != name}))
    with pytest.raises(PolicyInvalid, match=f"{name}: Field required"):
        read_policy(tmp_path / "policy.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"expires": "soon"},
        {"signers": ["ssh-ed25519 AAAA"]},
        {"bundles": ["a" * 63]},
        {"bundles": [], "signers": []},
        {"trainable": ["everything"]},
        {"trainable": "heads"},
        {"modes": ["secret"]},
        {"min_noise_multiplier": -1.0},
        {"min_noise_multiplier": "1"},
        {"max_rounds": 0},
        {"max_rounds": True},
        {"max_rounds": 3.5},
        {"max_update_bytes": "1000"},
        {"hours": ["8-9"]},
        {"hours": ["08:00-08:00"]},
        {"hours": ["08:00-25:00"]},
        {"timezone": "Atlantis/City"},
        {"timezone": "../../etc/passwd"},
        {"max_round": 3},
    ],
)
def test_a_rule_that_is_not_understood_makes_the_whole_policy_invalid(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(RULES | wrong))
    with pytest.raises(PolicyInvalid, match=r"policy\.json cannot be read, so nothing is allowed"):
        read_policy(tmp_path / "policy.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"version = ", b"[[[", b"# " + b"x" * 70_000])
@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_damaged_file_allows_nothing(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"policy.{suffix}").write_bytes(content)
    with pytest.raises(PolicyInvalid):
        read_policy(tmp_path / f"policy.{suffix}")


def test_a_file_that_is_not_there_allows_nothing_and_tells_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid) as told:
        read_policy(tmp_path)
    assert str(tmp_path.parent) not in str(told.value)
    with pytest.raises(PolicyInvalid) as told:
        read_policy(tmp_path / "policy.toml")
    assert str(tmp_path) not in str(told.value)


def test_deep_json_is_refused_and_crashes_nothing(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("[" * 30_000)
    with pytest.raises(PolicyInvalid):
        read_policy(tmp_path / "policy.json")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), junk=st.binary(min_size=1, max_size=4))
def test_a_mutated_policy_allows_no_other_bundle(tmp_path: Path, place: int, junk: bytes) -> None:
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in RULES.items()).encode()
    place %= len(text)
    (tmp_path / "policy.toml").write_bytes(text[:place] + junk + text[place + len(junk) :])
    try:
        found = read_policy(tmp_path / "policy.toml")
    except PolicyInvalid:
        return
    assert refused(found, asked(bundle=OTHER), datetime(1990, 1, 1, tzinfo=UTC)) in ("bundle", "hours", "expires")
    assert re.fullmatch(r"[0-9a-f]{64}", found.bundles[0])
