"""A rotation takes each step only when it harms nobody, goes on where it broke off, and a running process follows."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.following import LOOK_EVERY_S
from security.errors import RotationTooEarly, SigningKeyMissing
from security.followed_keys import FollowedKeys
from security.key_rotation import HISTORY, JWKS_CACHE_S, KeyRotation
from security.signing_keys import SigningKeys
from security.tokens import LEEWAY_S, MAX_LIFETIME_S, AccessTokens


class Clock:
    now = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def first(tmp_path: Path) -> str:
    return SigningKeys.open(tmp_path).active.kid


@pytest.fixture
def rotation(tmp_path: Path, first: str, clock: Clock) -> KeyRotation:
    return KeyRotation(tmp_path, clock=clock)


def early(rotation: KeyRotation) -> float:
    with pytest.raises(RotationTooEarly) as caught:
        rotation.advance()
    return caught.value.due_in_s


def test_a_key_signs_once_no_cache_lacks_it_and_verifies_until_its_last_token_has_expired(
    tmp_path: Path, rotation: KeyRotation, first: str, clock: Clock
) -> None:
    step = rotation.advance()
    second = step.kid
    assert (step.action, step.is_last, SigningKeys(tmp_path).active.kid) == ("published", False, first)
    assert early(rotation) > JWKS_CACHE_S
    clock.now += early(rotation) - 1
    assert early(rotation) == pytest.approx(1)
    clock.now += 1
    step = rotation.advance()
    assert (step.action, step.kid, step.is_last) == ("activated", second, False)
    assert early(rotation) > MAX_LIFETIME_S + LEEWAY_S
    clock.now += early(rotation)
    step = rotation.advance()
    assert (step.action, step.kid, step.is_last) == ("retired", first, True)
    assert SigningKeys(tmp_path).kids == [second]
    assert rotation.advance().action == "published"


def test_the_states_say_what_is_due_when(rotation: KeyRotation, first: str, clock: Clock) -> None:
    assert [(key.kid, key.state, key.due_at) for key in rotation.states()] == [(first, "signs", None)]
    second = rotation.advance().kid
    assert [(key.kid, key.state) for key in rotation.states()] == [(first, "signs"), (second, "published")]
    clock.now += early(rotation)
    rotation.advance()
    assert [(key.kid, key.state) for key in rotation.states()] == [(second, "signs"), (first, "replaced")]
    assert rotation.states()[1].due_at == clock.now + early(rotation)


def test_a_rotation_that_broke_off_while_it_activated_never_signs_with_the_old_key_again(
    tmp_path: Path, rotation: KeyRotation, first: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation.advance()
    clock.now += early(rotation)
    with monkeypatch.context() as patch:
        patch.setattr(SigningKeys, "activate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotation.advance()
    # What was to sign never did: it goes, and another one is published.
    clock.now += 10_000
    assert rotation.advance().action == "retired"
    assert SigningKeys(tmp_path).kids == [first]
    assert rotation.advance().action == "published"


def test_keys_of_before_there_was_a_history_retire_late_and_never_sign(
    tmp_path: Path, rotation: KeyRotation, first: str, clock: Clock
) -> None:
    keys = SigningKeys(tmp_path).publish()
    (other,) = set(keys.kids) - {first}
    os.utime(tmp_path / "active", (clock.now, clock.now))
    assert [(key.kid, key.state) for key in rotation.states()] == [(first, "signs"), (other, "replaced")]
    assert early(rotation) > MAX_LIFETIME_S


def test_of_processes_that_rotate_together_each_takes_another_step(tmp_path: Path, first: str, clock: Clock) -> None:
    rotations = [KeyRotation(tmp_path, clock=clock, activate_after_s=0, retire_after_s=0) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        actions = [step.action for step in pool.map(KeyRotation.advance, rotations)]
    assert sorted(actions) == ["activated", "published", "retired"]
    keys = SigningKeys(tmp_path)
    assert len(keys.kids) == 1
    assert keys.active.kid != first


def test_a_stolen_key_is_gone_at_once(tmp_path: Path, rotation: KeyRotation, first: str) -> None:
    token = AccessTokens(SigningKeys(tmp_path)).issue("ana", ["reader"])
    waiting = rotation.advance().kid
    steps = rotation.replace_now()
    assert [step.action for step in steps] == ["published", "activated", "retired", "retired"]
    assert [step.is_last for step in steps] == [False, False, False, True]
    keys = SigningKeys(tmp_path)
    assert not {first, waiting} & set(keys.kids)
    with pytest.raises(Exception, match="No valid access token"):
        AccessTokens(keys).verify(token)


def test_no_secret_stands_in_the_history(tmp_path: Path, rotation: KeyRotation) -> None:
    rotation.advance()
    assert "PRIVATE" not in (tmp_path / HISTORY).read_text()


def test_without_keys_there_is_nothing_to_rotate(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyMissing):
        KeyRotation(tmp_path / "empty").advance()


def test_a_running_process_follows_a_rotation_and_no_token_fails_on_the_way(tmp_path: Path, clock: Clock) -> None:
    now = [0.0]
    # Two processes of one API, of which the second looks half a second later.
    one = AccessTokens(FollowedKeys(tmp_path, clock=lambda: now[0]))
    two = AccessTokens(FollowedKeys(tmp_path, clock=lambda: now[0] + LOOK_EVERY_S / 2))
    rotation = KeyRotation(tmp_path, clock=clock)
    signed = [one.issue("ana", ["reader"])]
    kids = {one.keys.active.kid}
    for _ in range(3):
        rotation.advance()
        for _ in range(4):
            now[0] += LOOK_EVERY_S / 4
            signed += [tokens.issue("ana", ["reader"]) for tokens in (one, two)]
            if rotation.states()[1:]:
                assert {tokens.verify(token).subject for tokens in (one, two) for token in signed} == {"ana"}
        kids.add(one.keys.active.kid)
        if rotation.states()[1:]:
            clock.now += early(rotation)
    assert len(kids) == 2
    assert one.keys.jwks() == two.keys.jwks()
    assert len(one.keys.jwks()["keys"]) == 1


def test_the_folder_is_looked_at_once_a_second_and_read_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    read: list[Path] = []

    def noted(folder: Path) -> SigningKeys:
        read.append(folder)
        return SigningKeys(folder)

    SigningKeys.open(tmp_path)
    keys = FollowedKeys(tmp_path, clock=lambda: now[0])
    monkeypatch.setattr("security.followed_keys.SigningKeys", noted)
    for _ in range(100):
        now[0] += LOOK_EVERY_S / 10
        assert keys.active
    assert not read
    SigningKeys(tmp_path).publish()
    for _ in range(100):
        now[0] += LOOK_EVERY_S / 10
        assert len(keys.jwks()["keys"]) == 2 or not read
    assert len(read) == 1


def test_a_folder_that_cannot_be_read_leaves_the_keys_of_before(tmp_path: Path) -> None:
    now = [0.0]
    keys = FollowedKeys(tmp_path, clock=lambda: now[0])
    kid = keys.active.kid
    (tmp_path / "active").unlink()
    now[0] += LOOK_EVERY_S
    assert keys.active.kid == kid
    (tmp_path / f"{kid}.pem").chmod(0o644)
    now[0] += LOOK_EVERY_S
    assert keys.public_pem(kid)
    (tmp_path / f"{kid}.pem").chmod(0o600)
    (tmp_path / "active").write_text(kid)
    new = set(SigningKeys(tmp_path).publish().kids) - {kid}
    now[0] += LOOK_EVERY_S
    assert keys.public_pem(new.pop())
