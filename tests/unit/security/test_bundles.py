"""Signatures of what clients let in."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.bundles import PURPOSE, bundle_key, checked_signer, is_signed, sign, verifying_key
from security.errors import BundleKeyUnreadable
from security.node_keys import node_key

TEXT, OTHER = "a contract", "another"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return bundle_key(tmp_path / "bundle.key")


def test_a_signature_is_good_for_one_text_and_one_signer(key: Path, tmp_path: Path) -> None:
    signature, signer = sign(key, TEXT), verifying_key(key)
    stranger = verifying_key(bundle_key(tmp_path / "stranger.key"))
    assert is_signed(TEXT, signature, [stranger, signer])
    assert not is_signed(OTHER, signature, [signer])
    assert not is_signed(TEXT, signature, [stranger])
    assert not is_signed(TEXT, signature, [])


def test_the_key_is_made_once_and_private(key: Path) -> None:
    before = key.read_bytes()
    assert bundle_key(key).read_bytes() == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_flipped_bit_anywhere_in_a_signature_is_refused(key: Path) -> None:
    signature, signer = base64.b64decode(sign(key, TEXT)), verifying_key(key)
    for place in range(0, 8 * len(signature), 7):
        flipped = bytearray(signature)
        flipped[place // 8] ^= 1 << place % 8
        assert not is_signed(TEXT, base64.b64encode(flipped).decode(), [signer])


@pytest.mark.parametrize("signature", ["", "?", "AA", "é", "A" * 88, "A" * 100_000, "\x00"])
def test_what_is_no_signature_is_refused_and_raises_nothing(key: Path, signature: str) -> None:
    assert not is_signed(TEXT, signature, [verifying_key(key), "ssh-ed25519 AAAA", "no key", ""])


def test_a_signature_made_for_another_purpose_is_refused(key: Path) -> None:
    private = serialization.load_ssh_private_key(key.read_bytes(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    assert not is_signed(TEXT, base64.b64encode(private.sign(TEXT.encode())).decode(), [verifying_key(key)])
    assert is_signed(TEXT, base64.b64encode(private.sign(PURPOSE + TEXT.encode())).decode(), [verifying_key(key)])


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle.key").write_bytes(content)
    with pytest.raises(BundleKeyUnreadable, match=r"bundle\.key"):
        sign(tmp_path / "bundle.key", TEXT)


def test_another_kind_of_key_signs_nothing_and_is_no_signer(tmp_path: Path) -> None:
    other = node_key(tmp_path, "aurora")
    with pytest.raises(BundleKeyUnreadable):
        verifying_key(other.private)
    with pytest.raises(ValueError, match="Ed25519"):
        checked_signer(other.public_text)
