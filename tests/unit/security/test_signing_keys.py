"""Signing keys on disk: made once, readable by their owner only, published without their secret."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk

from core.files import write_secret
from security.errors import SigningKeyMissing, SigningKeyUnreadable
from security.signing_keys import SigningKeys


def test_the_first_opening_makes_a_key_and_the_next_one_finds_it(tmp_path: Path) -> None:
    made = SigningKeys.open(tmp_path / "signing")
    assert SigningKeys.open(tmp_path / "signing").active.kid == made.active.kid
    (file,) = (tmp_path / "signing").glob("*.pem")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        kids = {keys.active.kid for keys in pool.map(SigningKeys.open, [tmp_path] * 8)}
    assert len(kids) == 1


def test_the_jwks_holds_public_members_only_and_verifies(tmp_path: Path) -> None:
    keys = SigningKeys.open(tmp_path)
    (published,) = keys.jwks()["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    private = jwk.construct(keys.active.private_pem, "ES256")
    assert jwk.construct(published, "ES256").verify(b"text", private.sign(b"text"))


def test_no_log_shows_a_private_key(tmp_path: Path) -> None:
    keys = SigningKeys.open(tmp_path)
    assert "PRIVATE" not in repr(keys.active)
    assert "PRIVATE" not in json.dumps(keys.jwks())


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    SigningKeys.open(tmp_path)
    (file,) = tmp_path.glob("*.pem")
    file.chmod(0o644)
    with pytest.raises(SigningKeyUnreadable, match="other users"):
        SigningKeys(tmp_path)


def test_a_damaged_or_misnamed_or_foreign_key_is_refused(tmp_path: Path) -> None:
    kid = SigningKeys.open(tmp_path).active.kid
    file = tmp_path / f"{kid}.pem"
    whole = file.read_bytes()
    write_secret(file, whole[:60])
    with pytest.raises(SigningKeyUnreadable, match="not a PEM"):
        SigningKeys(tmp_path)
    write_secret(file, _pem_of(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(SigningKeyUnreadable, match="not a P-256 key"):
        SigningKeys(tmp_path)
    write_secret(file, _pem_of(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SigningKeyUnreadable, match="thumbprint"):
        SigningKeys(tmp_path)


def test_a_folder_without_an_active_key_is_an_error_that_helps(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyMissing) as caught:
        SigningKeys(tmp_path)
    assert "tejido up" in caught.value.hint
    keys = SigningKeys.open(tmp_path)
    with pytest.raises(SigningKeyMissing):
        keys.activate("unknown")
    with pytest.raises(SigningKeyMissing, match="signs"):
        keys.retire(keys.active.kid)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
