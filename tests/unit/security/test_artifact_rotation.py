"""Keys that wrap and sign are replaced step by step; whatever breaks off is done again, and nobody notices."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from security.artifact_keys import SIGNING, TRUSTED, WRAPPING, ArtifactKeys
from security.artifact_rotation import PENDING, ArtifactRotation, Retired
from security.ed25519 import fingerprint
from security.errors import ArtifactRefused, RotationUnfinished
from security.manifests import Manifest, Subject, resigned
from security.signing_keys import locked

SUBJECT = Subject("model", "f00d")


@pytest.fixture
def keys(tmp_path: Path) -> ArtifactKeys:
    return ArtifactKeys.open(tmp_path / "artifacts")


@pytest.fixture
def rotation(keys: ArtifactKeys) -> ArtifactRotation:
    return ArtifactRotation(keys)


def trusted(keys: ArtifactKeys) -> list[str]:
    return [fingerprint(key) for key in keys.trusted()]


def files(keys: ArtifactKeys) -> dict[str, bytes]:
    names = [name for name in (WRAPPING, SIGNING, TRUSTED, PENDING) if (keys.directory / name).exists()]
    return {name: (keys.directory / name).read_bytes() for name in names}


class Killed(BaseException):
    """The process ends here."""


def killed_before(monkeypatch: pytest.MonkeyPatch, write: int, step: Callable[[], object]) -> bool:
    """Take a step that ends before its n-th change of a file; False where it has fewer."""
    left, replace, unlink = [write], Path.replace, Path.unlink

    def counted() -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1

    def replaced(path: Path, target: Path) -> Path:
        counted()
        return replace(path, target)

    def removed(path: Path, *, missing_ok: bool = False) -> None:
        if not path.name.startswith("."):
            counted()
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replaced)
        patched.setattr(Path, "unlink", removed)
        try:
            step()
        except Killed:
            return True
    return False


def test_rotation_changes_the_wrapping_and_nothing_else(keys: ArtifactKeys, rotation: ArtifactRotation) -> None:
    data_key = keys.new_data_key()
    assert keys.rewrap(data_key.wrapped) == data_key.wrapped
    rotation.begin()
    anew = keys.rewrap(data_key.wrapped)
    assert anew != data_key.wrapped
    assert keys.rewrap(anew) == anew
    for wrapped in (data_key.wrapped, anew):
        assert keys.unwrap(wrapped, data_key.key_id) == data_key.key
    rotation.end()
    assert rotation.retire(rotation.word()) == Retired(1, 1)
    assert keys.unwrap(anew, data_key.key_id) == data_key.key
    with pytest.raises(ArtifactRefused):
        keys.unwrap(data_key.wrapped, data_key.key_id)


def test_another_key_signs_and_what_the_old_one_signed_is_believed_until_it_is_retired(
    keys: ArtifactKeys, rotation: ArtifactRotation
) -> None:
    first, before = keys.signer, keys.sign(b"x", purpose="p")
    rotation.begin()
    assert keys.signer != first
    assert trusted(keys) == [keys.signer, first]
    keys.verify(b"x", before, purpose="p")
    keys.verify(b"x", keys.sign(b"x", purpose="p"), purpose="p")
    rotation.retire(rotation.word())
    assert trusted(keys) == [keys.signer]
    with pytest.raises(ArtifactRefused, match=f"{first}, whom nobody trusts"):
        keys.verify(b"x", before, purpose="p")


@pytest.mark.parametrize("write", range(4))
def test_rotation_that_is_killed_as_it_begins_is_begun_by_the_next_try(
    keys: ArtifactKeys, rotation: ArtifactRotation, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    first, data_key, before = keys.signer, keys.new_data_key(), keys.sign(b"x", purpose="p")
    assert killed_before(monkeypatch, write, rotation.begin)
    # Whoever signs is trusted, in between as well.
    keys.verify(b"x", keys.sign(b"x", purpose="p"), purpose="p")
    keys.verify(b"x", before, purpose="p")
    assert keys.unwrap(data_key.wrapped, data_key.key_id) == data_key.key
    assert rotation.begin()
    assert len(keys.wrapping_keys()) == 2
    assert keys.signer != first
    assert {keys.signer, first} <= set(trusted(keys))
    once = files(keys)
    assert not rotation.begin()
    assert files(keys) == once
    rotation.retire(rotation.word())
    assert (len(keys.wrapping_keys()), trusted(keys)) == (1, [keys.signer])


def test_beginning_changes_four_files(
    keys: ArtifactKeys, rotation: ArtifactRotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above stops at each."""
    assert not killed_before(monkeypatch, 4, rotation.begin)
    assert len(keys.wrapping_keys()) == 2


@pytest.mark.parametrize("write", range(3))
def test_retiring_that_is_killed_is_done_by_the_next_try(
    keys: ArtifactKeys, rotation: ArtifactRotation, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    rotation.begin()
    word = rotation.word()
    signer, (newest, _) = keys.signer, keys.wrapping_keys()
    assert killed_before(monkeypatch, write, lambda: rotation.retire(word))
    rotation.retire(word)
    assert (keys.wrapping_keys(), trusted(keys), keys.signer) == ([newest], [signer], signer)
    assert not (keys.directory / PENDING).exists()
    assert rotation.retire(word) == Retired(0, 0)


def test_rotation_that_broke_off_is_finished_with_the_keys_that_it_made(
    keys: ArtifactKeys, rotation: ArtifactRotation
) -> None:
    assert rotation.begin()
    once = files(keys)
    assert not rotation.begin()
    assert files(keys) == once
    rotation.end()
    rotation.begin()
    assert len(keys.wrapping_keys()) == len(trusted(keys)) == 3


def test_rotation_of_an_older_release_is_finished_without_another_key(
    keys: ArtifactKeys, rotation: ArtifactRotation
) -> None:
    (keys.directory / PENDING).write_bytes(b"")
    once = files(keys)
    assert not rotation.begin()
    assert files(keys) == once


def test_nothing_is_retired_on_any_word_but_that_of_the_newest_keys(
    keys: ArtifactKeys, rotation: ArtifactRotation, tmp_path: Path
) -> None:
    old = ArtifactKeys.open(tmp_path / "thief")
    earlier = rotation.word()
    (old.directory / SIGNING).write_bytes((keys.directory / SIGNING).read_bytes())
    rotation.begin()
    word = rotation.word()
    line, _, signature = word.partition(b"\n")
    forged = line + b"\n" + old.sign(line + b"\n", purpose="renewed")
    keys.verify(line + b"\n", forged.partition(b"\n")[2], purpose="renewed")
    changed = json.dumps({**json.loads(line), "x": 1}).encode() + b"\n" + signature
    once = files(keys)
    for wrong in (b"", b"no word", line, earlier, forged, changed, word[:-1], b" " + word):
        with pytest.raises(RotationUnfinished, match="no key was retired"):
            rotation.retire(wrong)
        assert files(keys) == once
    rotation.end()
    rotation.begin()
    with pytest.raises(RotationUnfinished):
        rotation.retire(word)
    assert rotation.retire(rotation.word()) == Retired(2, 2)


def test_where_no_key_is_old_nobody_s_word_is_needed(rotation: ArtifactRotation) -> None:
    assert rotation.retire(b"") == Retired(0, 0)


def test_rotation_ends_only_when_nobody_else_is_changing_the_keys(
    keys: ArtifactKeys, rotation: ArtifactRotation
) -> None:
    rotation.begin()
    with ThreadPoolExecutor(1) as pool:
        with locked(keys.directory):
            ended = pool.submit(rotation.end)
            with pytest.raises(TimeoutError):
                ended.result(timeout=0.2)
            assert (keys.directory / PENDING).exists()
        ended.result(timeout=5)
    assert not (keys.directory / PENDING).exists()


def test_what_a_thief_could_use_stands_in_no_note(keys: ArtifactKeys, rotation: ArtifactRotation) -> None:
    rotation.begin()
    for note in (rotation.word(), (keys.directory / PENDING).read_bytes()):
        assert not [key for key in keys.wrapping_keys() if key.encode() in note]
        assert b"PRIVATE" not in note


def test_manifest_is_signed_anew_once_and_only_when_it_is_believed(
    keys: ArtifactKeys, rotation: ArtifactRotation, tmp_path: Path
) -> None:
    manifest = Manifest(SUBJECT, (), {"round": 3})
    signed = manifest.signed(keys)
    assert resigned(signed, keys, SUBJECT, again=None) is None
    rotation.begin()
    strange = manifest.signed(ArtifactKeys.open(tmp_path / "stranger"))
    for wrong in (signed.replace(b"3", b"4", 1), strange, signed[:-2] + b"\n"):
        with pytest.raises(ArtifactRefused):
            resigned(wrong, keys, SUBJECT, again=None)
    with pytest.raises(ArtifactRefused, match="is that of"):
        resigned(signed, keys, Subject("model", "beef"), again=None)
    again = resigned(signed, keys, SUBJECT, again=None)
    assert again is not None
    assert resigned(signed, keys, SUBJECT, again=again) is None
    # One of other bytes, or one that was changed, is replaced.
    last = b"0" if again[-2:-1] != b"0" else b"1"
    stales = (keys.sign(b"other", purpose="manifest"), again[:-2] + last + b"\n", b"", b"no signature")
    for stale in stales:
        assert resigned(signed, keys, SUBJECT, again=stale) == again
    rotation.retire(rotation.word())
    assert Manifest.verified(signed, keys, SUBJECT, again=lambda: again) == manifest
    for at in range(len(signed)):
        flipped = signed[:at] + bytes([signed[at] ^ 1 << at % 8]) + signed[at + 1 :]
        with pytest.raises(ArtifactRefused):
            Manifest.verified(flipped, keys, SUBJECT, again=lambda: again)
    for wrong_again in (None, b"", again[:-1], keys.sign(b"other", purpose="manifest")):
        with pytest.raises(ArtifactRefused):
            Manifest.verified(signed, keys, SUBJECT, again=lambda found=wrong_again: found)  # type: ignore[misc]
    rotation.begin()
    third = resigned(signed, keys, SUBJECT, again=again)
    assert third is not None
    rotation.retire(rotation.word())
    assert Manifest.verified(signed, keys, SUBJECT, again=lambda: third) == manifest


def test_later_signature_is_asked_for_only_where_the_first_one_is_nobody_s(keys: ArtifactKeys) -> None:
    signed = Manifest(SUBJECT, ()).signed(keys)

    def never() -> bytes:
        raise AssertionError("it was asked for")

    Manifest.verified(signed, keys, SUBJECT, again=never)
    # Nor does it help one that a trusted key has not signed.
    with pytest.raises(ArtifactRefused, match="not what key"):
        Manifest.verified(signed.replace(b"model", b"mo0el"), keys, SUBJECT, again=never)


def test_readers_never_notice_a_rotation(keys: ArtifactKeys, rotation: ArtifactRotation) -> None:
    data_key, stop = keys.new_data_key(), threading.Event()
    failures: list[Exception] = []
    read = [0] * 4
    signed = Manifest(SUBJECT, ()).signed(keys)
    wrapped, again = [data_key.wrapped], list[bytes | None]([None])

    def follow(number: int) -> None:
        reader = ArtifactKeys(keys.directory)
        while not stop.is_set():
            try:
                assert reader.unwrap(wrapped[0], data_key.key_id) == data_key.key
                Manifest.verified(signed, reader, SUBJECT, again=lambda: again[0])
                read[number] += 1
            except Exception as error:
                failures.append(error)

    readers = [threading.Thread(target=follow, args=(number,)) for number in range(4)]
    for thread in readers:
        thread.start()
    for _ in range(30):
        rotation.begin()
        word = rotation.word()
        wrapped[0] = keys.rewrap(wrapped[0])
        again[0] = resigned(signed, keys, SUBJECT, again=again[0])
        rotation.end()
    # Each has read the last of what was renewed before the old keys go.
    for wait in (rotation.word, lambda: rotation.retire(word)):
        wait()
        seen = [count + 2 for count in read]
        while not failures and any(now < then for now, then in zip(read, seen, strict=True)):
            stop.wait(0.01)
    stop.set()
    for thread in readers:
        thread.join()
    assert not failures
