"""The known ways to forge an access token, by name; each makes one token that must be refused."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.attacks.api.forging import ORDER, Forger, base64url, encoded

Attack = Callable[[Forger], str]
NONES = ("none", "None", "NONE", "nOnE", "none ", "", "null")
EVIL = "https://evil.example/keys.json"
JWK = {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}


def _header(**changes: Any) -> Attack:
    """A valid signature under another header."""
    return lambda forger: forger.signed(forger.header(**changes))


def _claims(**changes: Any) -> Attack:
    """A valid signature over other claims; callables are given the time."""

    def attack(forger: Forger) -> str:
        now = int(time.time())
        return forger.signed(
            claims=forger.claims(**{k: v(now) if callable(v) else v for k, v in changes.items()}),
        )

    return attack


def _raw_claims(text: str) -> Attack:
    return lambda forger: forger.signed(claims=text)


def _raw_header(text: str) -> Attack:
    return lambda forger: forger.signed(text.replace("KID", forger.kid))


def _signature(make: Callable[[bytes], bytes]) -> Attack:
    """A good token with its signature's bytes made into others."""

    def attack(forger: Forger) -> str:
        unsigned = forger.unsigned()
        return f"{unsigned}.{base64url(make(forger.signature(unsigned)))}"

    return attack


def _spelled(make: Callable[[str], str]) -> Attack:
    """A good token, written in another way."""
    return lambda forger: make(forger.signed())


def _segments(make: Callable[[str, str, str], str]) -> Attack:
    def attack(forger: Forger) -> str:
        header, claims, signature = forger.signed().split(".")
        return make(header, claims, signature)

    return attack


def _unsigned(alg: Any) -> Attack:
    return lambda forger: f"{forger.unsigned(forger.header(alg=alg))}."


def _unsigned_with_bytes(alg: Any) -> Attack:
    return lambda forger: f"{forger.unsigned(forger.header(alg=alg))}.{base64url(bytes(64))}"


def _hmac(alg: str, form: str) -> Attack:
    return lambda forger: forger.of_hmac(alg, forger.public(form))


def _of_another_key(forger: Forger) -> str:
    return forger.of_curve("ES256", ec.SECP256R1())


def _jwe(forger: Forger) -> str:
    return ".".join([encoded({"alg": "ECDH-ES", "enc": "A256GCM", "kid": forger.kid}), "", "AAAA", "AAAA", "AAAA"])


def _json_form(forger: Forger) -> str:
    header, claims, signature = forger.signed().split(".")
    return f'{{"payload":"{claims}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}'


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def _der(raw: bytes) -> bytes:
    return utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _plus_order(raw: bytes) -> bytes:
    """s + n, where 256 bits hold it: the same number to whoever reduces it."""
    s = int.from_bytes(raw[32:], "big") + ORDER
    return raw[:32] + (s % 2**256).to_bytes(32, "big")


def _repadded(token: str) -> str:
    header, claims, signature = token.split(".")
    return ".".join(segment + "=" * (-len(segment) % 4) for segment in (header, claims, signature))


def _next_spelling(token: str) -> str:
    """The last character carries four bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def _other_alphabet(token: str) -> str:
    """Standard base64 in place of base64url, with a character that differs."""
    header, claims, signature = token.split(".")
    return f"{header}.{claims}.{signature[:-1].replace('-', '+').replace('_', '/')[:-1]}+{signature[-1]}"


def _whole_in_base64(token: str) -> str:
    return urlsafe_b64encode(token.encode()).decode()


ATTACKS: dict[str, Attack] = {
    **{f"alg {alg!r} without a signature": _unsigned(alg) for alg in NONES},
    **{f"alg {alg!r} with a signature of zeros": _unsigned_with_bytes(alg) for alg in NONES},
    "alg none, signed well": _header(alg="none"),
    "alg as a list": _header(alg=["ES256"]),
    "alg as null": _header(alg=None),
    "alg es256": _header(alg="es256"),
    **{
        f"{alg} with the public {form} as its secret": _hmac(alg, form)
        for alg in ("HS256", "HS384", "HS512")
        for form in ("pem", "der", "jwk")
    },
    "HS256 with an empty secret": lambda forger: forger.of_hmac("HS256", b""),
    "HS256 with the secret `secret`": lambda forger: forger.of_hmac("HS256", b"secret"),
    "HS256 with the kid as secret": lambda forger: forger.of_hmac("HS256", forger.kid.encode()),
    "ES256 of another P-256 key": _of_another_key,
    "ES256 on secp256k1": lambda forger: forger.of_curve("ES256", ec.SECP256K1()),
    "ES256K on secp256k1": lambda forger: forger.of_curve("ES256K", ec.SECP256K1()),
    "ES384": lambda forger: forger.of_curve("ES384", ec.SECP384R1()),
    "ES256 on P-384": lambda forger: forger.of_curve("ES256", ec.SECP384R1()),
    "RS256": lambda forger: forger.of_rsa("RS256"),
    "PS256": lambda forger: forger.of_rsa("PS256"),
    "ES256 of an RSA key": lambda forger: forger.of_rsa("ES256"),
    **{f"header without {name}": _header(**{name: ...}) for name in ("alg", "typ", "kid")},
    **{f"header with an empty {name}": _header(**{name: ""}) for name in ("typ", "kid")},
    "alg twice, the first none": _raw_header('{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"KID"}'),
    "alg twice, the last none": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID","alg":"none"}'),
    "kid twice": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID","kid":"KID"}'),
    "kid twice, once escaped": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID","\\u006bid":"x"}'),
    "Kid beside kid": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID","Kid":"x"}'),
    "kid of nobody": _header(kid="another"),
    "kid of a file": _header(kid="../../../../etc/passwd"),
    "kid of /dev/null": _header(kid="/dev/null"),
    "kid of SQL": _header(kid="' UNION SELECT 'secret' --"),
    "kid of a command": _header(kid="|cat /etc/passwd"),
    "kid with a NUL": lambda forger: forger.signed(forger.header(kid=forger.kid + "\0")),
    "kid in upper case": lambda forger: forger.signed(forger.header(kid=forger.kid.swapcase())),
    "kid as a list": lambda forger: forger.signed(forger.header(kid=[forger.kid])),
    "kid as an object": _header(kid={"$ne": ""}),
    "kid as a number": _header(kid=0),
    "kid as null": _header(kid=None),
    "kid `active`": _header(kid="active"),
    "crit of exp": _header(crit=["exp"]),
    "crit of nothing": _header(crit=[]),
    "jku": _header(jku=EVIL),
    "jwk": _header(jwk=JWK),
    "x5u": _header(x5u=EVIL),
    "x5c": _header(x5c=["MIIB"]),
    "x5t": _header(x5t="AAAA"),
    "zip": _header(zip="DEF"),
    "b64 false": _header(b64=False),
    "cty": _header(cty="JWT"),
    **{f"typ {typ!r}": _header(typ=typ) for typ in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "rt+jwt")},
    "typ as a list": _header(typ=["at+jwt"]),
    "header nested": _header(alg={"alg": "ES256"}),
    "header nested deep": _raw_header('{"alg":' + _deep(150) + "}"),
    "header nested very deep": _raw_header(_deep(1400)),
    "header huge": _header(padding="x" * 2000),
    "header as a list": _raw_header('[["alg","ES256"],["typ","at+jwt"],["kid","KID"]]'),
    "header as text": _raw_header('"ES256"'),
    "header as null": _raw_header("null"),
    "header empty": _raw_header("{}"),
    "header of no JSON": _raw_header("{alg:ES256}"),
    "header with a trailing comma": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID",}'),
    "header twice": _raw_header('{"alg":"ES256","typ":"at+jwt","kid":"KID"}{}'),
    "header in UTF-16": lambda forger: forger.signed(
        f'{{"alg":"ES256","typ":"at+jwt","kid":"{forger.kid}"}}'.encode("utf-16")
    ),
    "header of no UTF-8": lambda forger: forger.signed(b'{"alg":"ES256\xff"}'),
    **{
        f"without {name}": _claims(**{name: ...}) for name in ("iss", "aud", "sub", "roles", "iat", "nbf", "exp", "jti")
    },
    **{f"{name} null": _claims(**{name: None}) for name in ("iss", "aud", "sub", "roles", "iat", "nbf", "exp", "jti")},
    "exp as text": _claims(exp=lambda now: str(now + 600)),
    "exp as a float": _claims(exp=lambda now: now + 600.5),
    "exp as a whole float": _claims(exp=lambda now: float(now + 600)),
    "exp true": _claims(exp=True),
    "exp negative": _claims(exp=-1),
    "exp huge": _claims(exp=10**30),
    "exp of two thousand digits": _claims(exp=10**2000),
    "exp of another unit": _claims(exp=lambda now: (now + 600) * 1000),
    "exp as a list": _claims(exp=lambda now: [now + 600]),
    "exp past": _claims(exp=lambda now: now - 60, iat=lambda now: now - 600, nbf=lambda now: now - 600),
    "exp in an hour": _claims(exp=lambda now: now + 3600),
    "exp in 15 minutes and a second": _claims(exp=lambda now: now + 901),
    "exp before iat": _claims(exp=lambda now: now - 10, iat=lambda now: now),
    "iat as text": _claims(iat=str),
    "iat in the future": _claims(iat=lambda now: now + 300),
    "iat an hour ago": _claims(iat=lambda now: now - 3600),
    "iat negative": _claims(iat=-1),
    "iat of no number": _claims(iat={"a": 1}),
    "nbf in the future": _claims(nbf=lambda now: now + 300),
    "nbf as text": _claims(nbf="0"),
    "iat infinite": _raw_claims('{"iss":"tejido","aud":"tejido-api","sub":"m","roles":[],"iat":1e400,"jti":"x"}'),
    "iat not a number": _raw_claims('{"iss":"tejido","aud":"tejido-api","sub":"m","roles":[],"iat":NaN,"jti":"x"}'),
    "aud of another": _claims(aud="another-api"),
    "aud as a list": _claims(aud=["tejido-api"]),
    "aud as a list of two": _claims(aud=["tejido-api", "another-api"]),
    "aud with a space": _claims(aud="tejido-api "),
    "aud empty": _claims(aud=""),
    "iss of another": _claims(iss="https://evil.example"),
    "iss as a list": _claims(iss=["tejido"]),
    "roles as text": _claims(roles="admin"),
    "roles unknown": _claims(roles=["root"]),
    "roles in upper case": _claims(roles=["ADMIN"]),
    "roles nested": _claims(roles=[["admin"]]),
    "roles as an object": _claims(roles={"admin": True}),
    "roles empty": _claims(roles=[]),
    "roles with one unknown": _claims(roles=["reader", "root"]),
    "a curator of no client": _claims(roles=["curator"]),
    "a curator of a list": _claims(roles=["curator"], client=["aurora"]),
    "a curator of everything": _claims(roles=["curator"], client="*"),
    "a curator of a path": _claims(roles=["curator"], client="../aurora"),
    "a curator of an upper case": _claims(roles=["curator"], client="Aurora"),
    "a client without a curator": _claims(client="aurora"),
    "an operator with a client": _claims(roles=["operator"], client="aurora"),
    "a client of null": _claims(client=None),
    "sub empty": _claims(sub=""),
    "sub too long": _claims(sub="a" * 129),
    "sub with a NUL": _claims(sub="an\0a"),
    "sub with a line": _claims(sub='ana\n{"event": "promoted"}'),
    "sub of half a character": _claims(sub="\ud800"),
    "sub as a number": _claims(sub=7),
    "sub as an object": _claims(sub={"$gt": ""}),
    "jti empty": _claims(jti=""),
    "jti as a number": _claims(jti=7),
    "sid null": _claims(sid=None),
    "sid empty": _claims(sid=""),
    "sid as a list": _claims(sid=["a"]),
    "claims as a list": _raw_claims("[]"),
    "claims as text": _raw_claims('"admin"'),
    "claims of no JSON": _raw_claims("sub=ana"),
    "claims nested deep": _raw_claims(_deep(1200)),
    "claims empty": _raw_claims("{}"),
    "signature stripped": _segments(lambda header, claims, _: f"{header}.{claims}"),
    "signature empty": _segments(lambda header, claims, _: f"{header}.{claims}."),
    "signature of zeros": _signature(lambda _: bytes(64)),
    "signature of ones": _signature(lambda _: b"\xff" * 64),
    "signature with r = 0": _signature(lambda raw: bytes(32) + raw[32:]),
    "signature with s = 0": _signature(lambda raw: raw[:32] + bytes(32)),
    "signature with r = s = n": _signature(lambda _: ORDER.to_bytes(32, "big") * 2),
    "signature with s + n": _signature(_plus_order),
    "signature turned round": _signature(lambda raw: raw[32:] + raw[:32]),
    "signature in DER": _signature(_der),
    "signature cut short": _signature(lambda raw: raw[:-1]),
    "signature with a byte more": _signature(lambda raw: raw + b"\0"),
    "signature of another token": lambda forger: (
        f"{forger.unsigned(claims=forger.claims(roles=['admin']))}.{forger.signed().rpartition('.')[2]}"
    ),
    "padded": _spelled(_repadded),
    "padded at its end": _spelled(lambda token: token + "=="),
    "another spelling of the same bytes": _spelled(_next_spelling),
    "standard base64": _spelled(_other_alphabet),
    "in base64 once more": _spelled(_whole_in_base64),
    "space inside": _spelled(lambda token: f"{token[:50]} {token[50:]}"),
    "tab inside": _spelled(lambda token: f"{token[:50]}\t{token[50:]}"),
    "two tokens": _spelled(lambda token: f"{token} {token}"),
    "two tokens and a comma": _spelled(lambda token: f"{token}, {token}"),
    "quoted": _spelled(lambda token: f'"{token}"'),
    "no-break space after it": _spelled(lambda token: f"{token}\xa0"),
    "next-line before it": _spelled(lambda token: f"\x85{token}"),
    "beyond ASCII": _spelled(lambda token: f"{token[:-1]}\xe9"),
    "percent encoded": _spelled(lambda token: token.replace(".", "%2E")),
    "bearer twice": _spelled(lambda token: f"Bearer {token}"),
    "two dots": _segments(lambda header, claims, signature: f"{header}..{signature}"),
    "dots alone": lambda _: "..",
    "four segments": _segments(lambda header, claims, signature: f"{header}.{claims}.{signature}.{signature}"),
    "segments turned round": _segments(lambda header, claims, signature: f"{claims}.{header}.{signature}"),
    "JWE": _jwe,
    "JWS as JSON": _json_form,
    "detached": _segments(lambda header, claims, signature: f"{header}.{signature}"),
    "more than four kilobytes": _claims(padding="x" * 4000),
    "sixteen kilobytes": _claims(padding="x" * 12_000),
    "letters": lambda _: "x" * 4096,
    "nothing": lambda _: "",
}
