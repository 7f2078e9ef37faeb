from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from security.artifact_keys import SIGNING, TRUSTED, WRAPPING, ArtifactKeys
from security.envelope import Digests
from security.errors import ArtifactKeyMissing, ArtifactKeyUnreadable, ArtifactNotSealed, ArtifactRefused
from security.manifests import Entry, Manifest, Subject

SUBJECT = Subject("model", "f00d")
DIGESTS = Digests(3, "a" * 64, 35, "b" * 64)


@pytest.fixture
def keys(tmp_path: Path) -> ArtifactKeys:
    return ArtifactKeys.open(tmp_path / "artifacts")


def flipped(data: bytes, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def test_keys_are_made_once_and_are_their_owner_s_alone(keys: ArtifactKeys) -> None:
    before = {path.name: path.read_bytes() for path in keys.directory.iterdir()}
    ArtifactKeys.open(keys.directory)
    assert {path.name: path.read_bytes() for path in keys.directory.iterdir()} == before
    assert {(keys.directory / name).stat().st_mode & 0o777 for name in (WRAPPING, SIGNING)} == {0o600}


def test_two_processes_make_the_same_keys(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ArtifactKeys.open(tmp_path / "artifacts"), range(8)))
    wrapped = found[0].new_data_key()
    assert all(keys.unwrap(wrapped.wrapped, wrapped.key_id) == wrapped.key for keys in found)


@pytest.mark.parametrize("name", [WRAPPING, SIGNING])
def test_key_file_that_others_may_read_is_refused(keys: ArtifactKeys, name: str) -> None:
    (keys.directory / name).chmod(0o640)
    with pytest.raises(ArtifactKeyUnreadable, match="other users"):
        keys.new_data_key() if name == WRAPPING else keys.sign(b"x", purpose="p")


@pytest.mark.parametrize("name", [WRAPPING, SIGNING, TRUSTED])
@pytest.mark.parametrize("content", [b"", b"no key\n", b"\xff\xfe"])
def test_damaged_key_file_is_named(keys: ArtifactKeys, name: str, content: bytes) -> None:
    signature = keys.sign(b"x", purpose="p")
    (keys.directory / name).write_bytes(content)
    use: dict[str, Callable[[], object]] = {
        WRAPPING: keys.new_data_key,
        SIGNING: lambda: keys.sign(b"x", purpose="p"),
        TRUSTED: lambda: keys.verify(b"x", signature, purpose="p"),
    }
    with pytest.raises((ArtifactKeyUnreadable, ArtifactRefused)):
        use[name]()


def test_reader_without_the_signing_key_opens_and_does_not_sign(keys: ArtifactKeys) -> None:
    signature, data_key = keys.sign(b"x", purpose="p"), keys.new_data_key()
    (keys.directory / SIGNING).unlink()
    keys.verify(b"x", signature, purpose="p")
    assert keys.unwrap(data_key.wrapped, data_key.key_id) == data_key.key
    with pytest.raises(ArtifactKeyMissing):
        keys.sign(b"x", purpose="p")


def test_neither_keys_nor_data_keys_show_in_logs(keys: ArtifactKeys) -> None:
    assert "key=" not in repr(keys.new_data_key())


def test_every_flipped_bit_of_a_wrapped_key_is_refused(keys: ArtifactKeys) -> None:
    data_key = keys.new_data_key()
    for at in range(len(data_key.wrapped)):
        for bit in range(8):
            with pytest.raises(ArtifactRefused):
                keys.unwrap(flipped(data_key.wrapped, at, 1 << bit), data_key.key_id)


def test_data_key_of_another_object_is_refused(keys: ArtifactKeys) -> None:
    one, other = keys.new_data_key(), keys.new_data_key()
    with pytest.raises(ArtifactRefused, match="another"):
        keys.unwrap(one.wrapped, other.key_id)


def test_key_that_a_stranger_has_wrapped_is_refused(keys: ArtifactKeys, tmp_path: Path) -> None:
    stranger = ArtifactKeys.open(tmp_path / "stranger").new_data_key()
    for wrapped in (stranger.wrapped, urlsafe_b64encode(stranger.key), b"", b"\xff"):
        with pytest.raises(ArtifactRefused):
            keys.unwrap(wrapped, stranger.key_id)


def test_manifest_comes_back_once_it_is_believed(keys: ArtifactKeys) -> None:
    manifest = Manifest(SUBJECT, (Entry("trained", DIGESTS, "c" * 64),), {"round": 3})
    assert Manifest.verified(manifest.signed(keys), keys, SUBJECT) == manifest
    assert manifest.entry("trained").digests == DIGESTS
    with pytest.raises(ArtifactRefused, match="knows no other"):
        manifest.entry("other")


def test_every_flipped_bit_of_a_manifest_is_refused(keys: ArtifactKeys) -> None:
    signed = Manifest(SUBJECT, (Entry("trained", DIGESTS, "c" * 64),)).signed(keys)
    for at in range(len(signed)):
        for bit in range(8):
            with pytest.raises(ArtifactRefused):
                Manifest.verified(flipped(signed, at, 1 << bit), keys, SUBJECT)
    for length in range(len(signed)):
        with pytest.raises(ArtifactRefused):
            Manifest.verified(signed[:length], keys, SUBJECT)
    with pytest.raises(ArtifactRefused):
        Manifest.verified(signed + b"\n", keys, SUBJECT)


def test_manifest_that_a_stranger_has_signed_is_refused(keys: ArtifactKeys, tmp_path: Path) -> None:
    stranger = ArtifactKeys.open(tmp_path / "stranger")
    with pytest.raises(ArtifactRefused, match="nobody trusts"):
        Manifest.verified(Manifest(SUBJECT, ()).signed(stranger), keys, SUBJECT)


def test_stranger_s_signature_under_a_trusted_name_is_refused(keys: ArtifactKeys, tmp_path: Path) -> None:
    body, own = Manifest(SUBJECT, ()).signed(keys).split(b"\n")[:2]
    theirs = ArtifactKeys.open(tmp_path / "stranger").sign(body + b"\n", purpose="manifest")
    forged = b" ".join([b"ed25519", own.split()[1], theirs.split()[2]]) + b"\n"
    with pytest.raises(ArtifactRefused, match="not what key"):
        Manifest.verified(body + b"\n" + forged, keys, SUBJECT)


@pytest.mark.parametrize("other", [Subject("model", "beef"), Subject("checkpoint", "f00d")])
def test_manifest_of_another_is_refused(keys: ArtifactKeys, other: Subject) -> None:
    with pytest.raises(ArtifactRefused, match="is that of"):
        Manifest.verified(Manifest(other, ()).signed(keys), keys, SUBJECT)


def test_signature_for_another_purpose_is_refused(keys: ArtifactKeys) -> None:
    """A signed result is no manifest, whatever its bytes say."""
    body = Manifest(SUBJECT, ()).signed(keys).split(b"\n")[0] + b"\n"
    with pytest.raises(ArtifactRefused):
        Manifest.verified(body + keys.sign(body, purpose="result"), keys, SUBJECT)


@pytest.mark.parametrize("unsigned", [b"", b"{}", b'{"round": 1}\n', b"{\n}\n"])
def test_unsigned_manifest_is_called_so(keys: ArtifactKeys, unsigned: bytes) -> None:
    with pytest.raises(ArtifactNotSealed):
        Manifest.verified(unsigned, keys, SUBJECT)
