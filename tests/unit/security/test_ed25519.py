from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.ed25519 import fingerprint, from_openssh, from_pem, new_openssh, new_pem

Read = Callable[[bytes], Ed25519PrivateKey]
PEM, OPENSSH = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH
FORMATS = [(new_pem, from_pem, PEM), (new_openssh, from_openssh, OPENSSH)]


@pytest.mark.parametrize(("new", "read", "how"), FORMATS)
def test_key_comes_back_as_it_was_written(
    new: Callable[[], bytes], read: Read, how: serialization.PrivateFormat
) -> None:
    one, other = read(new()), read(new())
    assert one.private_bytes_raw() != other.private_bytes_raw()
    data = one.private_bytes(serialization.Encoding.PEM, how, serialization.NoEncryption())
    assert read(data).private_bytes_raw() == one.private_bytes_raw()
    raw = one.public_key().public_bytes_raw()
    assert fingerprint(one.public_key()) == hashlib.sha256(raw).hexdigest()[:16]


@pytest.mark.parametrize(("new", "read", "how"), FORMATS)
def test_everything_else_is_a_value_error(
    new: Callable[[], bytes], read: Read, how: serialization.PrivateFormat
) -> None:
    own, encoding = new(), serialization.Encoding.PEM
    of_another_kind = ec.generate_private_key(ec.SECP256R1()).private_bytes(encoding, how, serialization.NoEncryption())
    encrypted = read(own).private_bytes(encoding, PEM, serialization.BestAvailableEncryption(b"a password"))
    public = read(own).public_key().public_bytes_raw()
    for data in (b"", b"no key", own[:60], own[: len(own) // 2], public, of_another_kind, encrypted):
        with pytest.raises(ValueError, match="is no"):
            read(data)
    with pytest.raises(ValueError, match="is no private key in"):
        read(new_openssh() if read is from_pem else new_pem())
