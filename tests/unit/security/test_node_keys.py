"""A client node's key: P-384, OpenSSH, made once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from security.errors import NodeKeyUnreadable
from security.node_keys import node_key


def test_a_key_is_made_once_and_private_to_its_owner(tmp_path: Path) -> None:
    first = node_key(tmp_path, "aurora")
    private = first.private.read_bytes()
    assert node_key(tmp_path, "aurora").private.read_bytes() == private
    assert stat.S_IMODE(first.private.stat().st_mode) == 0o600


def test_the_public_file_belongs_to_the_private_one(tmp_path: Path) -> None:
    key = node_key(tmp_path, "aurora")
    private = serialization.load_ssh_private_key(key.private.read_bytes(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp384r1"
    assert serialization.load_ssh_public_key(key.public.read_bytes()) == private.public_key()


def test_a_lost_public_file_is_derived_again(tmp_path: Path) -> None:
    key = node_key(tmp_path, "aurora")
    text = key.public_text
    key.public.unlink()
    assert node_key(tmp_path, "aurora").public_text == text


def test_two_nodes_have_different_keys(tmp_path: Path) -> None:
    assert node_key(tmp_path, "aurora").public_text != node_key(tmp_path, "boreal").public_text


@pytest.mark.parametrize("kind", ["damaged", "another curve"])
def test_a_key_of_no_use_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "aurora.key"
    if kind == "damaged":
        path.write_text("no key")
    else:
        path.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
    with pytest.raises(NodeKeyUnreadable, match=r"aurora\.key"):
        node_key(tmp_path, "aurora")
