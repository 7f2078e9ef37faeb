"""Tokens as an attacker makes them; with the platform's own key too, to see that a signature alone opens nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from security.signing_keys import SigningKeys

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256, as NIST writes it."""


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def encoded(part: Any) -> str:
    """A segment of a token: of bytes as they are, of text as it is, of anything else as JSON."""
    if isinstance(part, str):
        part = part.encode()
    return base64url(part if isinstance(part, bytes) else json.dumps(part).encode())


class Forger:
    """Makes tokens that differ from a good one by what is given; ``...`` takes a member away."""

    def __init__(self, keys: SigningKeys) -> None:
        self.keys = keys

    @property
    def kid(self) -> str:
        return self.keys.active.kid

    def header(self, **changes: Any) -> dict[str, Any]:
        return _changed({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "iss": "tejido", "aud": "tejido-api", "sub": "mallory", "roles": ["reader"],
            "iat": now, "nbf": now, "exp": now + 600, "jti": "forged",
        }  # fmt: skip
        return _changed(whole, changes)

    def unsigned(self, header: Any = None, claims: Any = None) -> str:
        """What is signed: the first two segments."""
        header = self.header() if header is None else header
        return f"{encoded(header)}.{encoded(self.claims() if claims is None else claims)}"

    def signed(self, header: Any = None, claims: Any = None) -> str:
        """With the platform's own key, whatever the header says."""
        unsigned = self.unsigned(header, claims)
        return f"{unsigned}.{base64url(self.signature(unsigned))}"

    def signature(self, unsigned: str) -> bytes:
        """r and s, 32 bytes each."""
        return raw_signature(_private(self.keys), unsigned)

    def of_hmac(self, alg: str, secret: bytes, **header: Any) -> str:
        """The classic confusion: the public key, which everybody may read, as the secret of a MAC."""
        unsigned = self.unsigned(self.header(alg=alg, **header))
        mac = hmac.new(secret, unsigned.encode(), getattr(hashlib, f"sha{alg[2:]}")).digest()
        return f"{unsigned}.{base64url(mac)}"

    def of_curve(self, alg: str, curve: ec.EllipticCurve) -> str:
        """Signed by a new key on ``curve``."""
        unsigned = self.unsigned(self.header(alg=alg))
        return f"{unsigned}.{base64url(raw_signature(ec.generate_private_key(curve), unsigned))}"

    def of_rsa(self, alg: str) -> str:
        """Signed by a new RSA key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        unsigned = self.unsigned(self.header(alg=alg))
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        how = pss if alg.startswith("PS") else padding.PKCS1v15()
        return f"{unsigned}.{base64url(key.sign(unsigned.encode(), how, hashes.SHA256()))}"

    def public(self, form: str) -> bytes:
        """The public key, as an attacker has it: ``pem``, ``der`` or ``jwk``."""
        key = serialization.load_pem_public_key(self.keys.active.public_pem.encode())
        whole = serialization.PublicFormat.SubjectPublicKeyInfo
        match form:
            case "pem":
                return key.public_bytes(serialization.Encoding.PEM, whole)
            case "der":
                return key.public_bytes(serialization.Encoding.DER, whole)
            case _:
                return json.dumps(self.keys.jwks()["keys"][0]).encode()


def raw_signature(key: ec.EllipticCurvePrivateKey, unsigned: str) -> bytes:
    """JOSE's form of an ECDSA signature: r and s side by side."""
    r, s = decode_dss_signature(key.sign(unsigned.encode(), ec.ECDSA(hashes.SHA256())))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def mirrored(token: str) -> str:
    """The same token with (r, n - s), which ECDSA takes for (r, s)."""
    from base64 import urlsafe_b64decode

    unsigned, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    s = ORDER - int.from_bytes(raw[32:], "big")
    return f"{unsigned}.{base64url(raw[:32] + s.to_bytes(32, 'big'))}"


def _private(keys: SigningKeys) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(keys.active.private_pem.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _changed(whole: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}
