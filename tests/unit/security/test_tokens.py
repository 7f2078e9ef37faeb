"""Access tokens: every forgery that is known against python-jose is refused, and refused alike."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from jose import jws, jwt

from security.errors import TokenRequestInvalid, Unauthenticated
from security.signing_keys import SigningKeys
from security.tokens import AccessTokens

# One moment for all: neither a slow run nor a test's name depends on when it is.
NOW = 1_795_597_812
SIGNATURE = "A" * 86
"""Of the form that ES256 signatures have."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.open(tmp_path_factory.mktemp("signing"))


@pytest.fixture
def tokens(keys: SigningKeys) -> AccessTokens:
    return AccessTokens(keys, clock=lambda: NOW)


def claims(**changes: Any) -> dict[str, Any]:
    whole = {
        "iss": "tejido", "aud": "tejido-api", "sub": "ana", "roles": ["reader"],
        "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": "abc",
    }  # fmt: skip
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


def signed(keys: SigningKeys, body: Any = None, *, header: dict[str, Any] | None = None) -> str:
    """A token with a valid signature over whatever is given."""
    head = {"kid": keys.active.kid, "typ": "at+jwt", **(header or {})}
    payload = json.dumps(claims() if body is None else body).encode()
    return str(jws.sign(payload, keys.active.private_pem, headers=head, algorithm="ES256"))


def segment(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(tokens: AccessTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token)
    assert caught.value.message == "No valid access token."
    return caught.value.reason


def test_an_issued_token_tells_who_may_do_what_until_when(tokens: AccessTokens) -> None:
    identity = tokens.verify(tokens.issue("ana", ["reader", "operator"]))
    assert identity.subject == "ana"
    assert identity.roles == ("reader", "operator")
    assert identity.expires_at == NOW + 900
    assert identity.session is None


def test_a_token_of_a_session_names_it(tokens: AccessTokens) -> None:
    assert tokens.verify(tokens.issue("ana", ["reader"], session="family")).session == "family"


def test_a_hand_made_token_of_the_same_form_passes(tokens: AccessTokens, keys: SigningKeys) -> None:
    # The oracle for every refusal below: only what each test changes is wrong with its token.
    assert tokens.verify(signed(keys)).subject == "ana"


def test_alg_none_is_refused(tokens: AccessTokens, keys: SigningKeys) -> None:
    head = segment({"alg": "none", "typ": "at+jwt", "kid": keys.active.kid})
    assert refused(tokens, f"{head}.{segment(claims())}.")
    assert refused(tokens, f"{head}.{segment(claims())}.{SIGNATURE}") == "unexpected header"


@pytest.mark.parametrize("form", ["pem", "der"])
def test_hmac_with_the_public_key_as_its_secret_is_refused(tokens: AccessTokens, keys: SigningKeys, form: str) -> None:
    import hashlib
    import hmac

    pem = keys.active.public_pem.encode()
    der = serialization.load_pem_public_key(pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signing_input = f"{segment({'alg': 'HS512', 'typ': 'at+jwt', 'kid': keys.active.kid})}.{segment(claims())}"
    mac = hmac.new(pem if form == "pem" else der, signing_input.encode(), hashlib.sha512).digest()  # as long as ES256's
    assert refused(tokens, f"{signing_input}.{segment(mac)}") == "unexpected header"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "roles"])
def test_a_token_without_a_claim_is_refused(tokens: AccessTokens, keys: SigningKeys, name: str) -> None:
    assert refused(tokens, signed(keys, claims(**{name: ...})))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"aud": ["tejido-api", "another-api"]},
        {"iss": "somebody"},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 200},
        {"jti": ""},
        {"roles": "admin"},
        {"roles": ["owner"]},
        {"roles": [["admin"]]},
        {"exp": str(NOW + 600)},
        {"exp": True},
        {"exp": NOW + 600.5},
        {"exp": None},
        {"iat": str(NOW)},
        {"nbf": "0"},
        {"exp": NOW - 31},
        {"nbf": NOW + 90},
        {"iat": NOW + 90},
        {"exp": NOW + 3600},
        {"iat": NOW - 3600},
        {"exp": 10**30},
        {"exp": -1},
        {"sid": ""},
        {"sid": None},
        {"sid": 7},
        {"sid": ["family"]},
        {"sid": "a" * 200},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_refused(tokens: AccessTokens, keys: SigningKeys, changes: Any) -> None:
    assert refused(tokens, signed(keys, claims(**changes)))


def test_a_payload_that_is_no_object_is_refused(tokens: AccessTokens, keys: SigningKeys) -> None:
    for body in ([], "text", 7, [claims()]):
        assert refused(tokens, signed(keys, body))


def test_a_token_that_was_found_right_expires_all_the_same(keys: SigningKeys) -> None:
    now = [float(NOW)]
    tokens = AccessTokens(keys, clock=lambda: now[0])
    token = tokens.issue("ana", ["reader"], lifetime_s=60)
    assert [tokens.verify(token).subject for _ in range(3)] == ["ana"] * 3
    now[0] += 91
    assert refused(tokens, token) == "expired, or not valid yet"
    now[0] -= 200
    assert refused(tokens, token) == "expired, or not valid yet"


def test_a_token_that_was_found_right_is_refused_once_its_key_is_gone(tmp_path: Path) -> None:
    tokens = AccessTokens(SigningKeys.open(tmp_path / "old"), clock=lambda: NOW)
    token = tokens.issue("ana", ["reader"])
    assert tokens.verify(token).subject == "ana"
    assert refused(AccessTokens(SigningKeys.open(tmp_path / "new"), clock=lambda: NOW), token) == "unknown kid"


def test_a_token_that_was_found_right_opens_no_other_audience_or_issuer(keys: SigningKeys) -> None:
    tokens = AccessTokens(keys, clock=lambda: NOW)
    token = tokens.issue("ana", ["reader"])
    assert tokens.verify(token).subject == "ana"
    assert refused(AccessTokens(keys, audience="another", clock=lambda: NOW), token)
    assert refused(AccessTokens(keys, issuer="another", clock=lambda: NOW), token)


def test_a_token_expires(keys: SigningKeys) -> None:
    token = AccessTokens(keys, clock=lambda: NOW).issue("ana", ["reader"], lifetime_s=60)
    assert AccessTokens(keys, clock=lambda: NOW + 89).verify(token).subject == "ana"
    assert refused(AccessTokens(keys, clock=lambda: NOW + 91), token) == "expired, or not valid yet"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "AT+JWT"},
        {"kid": "another"},
        {"kid": "../../etc/passwd"},
        {"crit": ["exp"]},
        {"jku": "https://evil.example/jwks.json"},
        {"jwk": {"kty": "EC"}},
        {"x5u": "https://evil.example"},
        {"b64": False},
    ],
    ids=str,
)
def test_a_header_with_anything_else_is_refused(tokens: AccessTokens, keys: SigningKeys, header: Any) -> None:
    assert refused(tokens, signed(keys, header=header))


def test_a_token_signed_by_an_unknown_key_is_refused(tokens: AccessTokens, keys: SigningKeys, tmp_path: Path) -> None:
    other = SigningKeys.open(tmp_path)
    assert refused(tokens, AccessTokens(other).issue("ana", ["reader"])) == "unknown kid"
    head = {"kid": keys.active.kid, "typ": "at+jwt"}
    posing = jwt.encode(claims(), other.active.private_pem, "ES256", headers=head)
    assert "Signature" in refused(tokens, posing)


def test_one_changed_character_is_refused(tokens: AccessTokens) -> None:
    head, body, signature = tokens.issue("ana", ["reader"]).split(".")
    flipped = ("A" if body[10] != "A" else "B").join([body[:10], body[11:]])
    assert refused(tokens, f"{head}.{flipped}.{signature}")
    assert refused(tokens, f"{head}.{body}.{signature[:-6]}AAAAAA")


def test_a_signature_has_one_spelling(tokens: AccessTokens) -> None:
    token = tokens.issue("ana", ["reader"])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # Base64 drops four bits of the last character: fifteen others mean the same bytes.
    place = alphabet.index(token[-1])
    for other in alphabet[place + 1 : place + 16]:
        assert refused(tokens, token[:-1] + other) == "not a compact JWT, or too long"


@pytest.mark.parametrize("subject", ["an\0a", "ana\n", "\ud800", "\u202eana"])
def test_a_subject_that_no_log_can_hold_is_refused(tokens: AccessTokens, keys: SigningKeys, subject: str) -> None:
    assert refused(tokens, signed(keys, claims(sub=subject))) == "sub is not a short text"
    with pytest.raises(TokenRequestInvalid):
        tokens.issue(subject, ["reader"])


def test_a_time_beyond_all_numbers_is_refused(tokens: AccessTokens, keys: SigningKeys) -> None:
    # 1e400 is read as infinity, of which jose makes an OverflowError.
    for name in ("iat", "nbf", "exp"):
        body = json.dumps(claims(**{name: 0})).replace(f'"{name}": 0', f'"{name}": 1e400')
        head = {"kid": keys.active.kid, "typ": "at+jwt"}
        token = jws.sign(body.encode(), keys.active.private_pem, headers=head, algorithm="ES256")
        assert refused(tokens, str(token))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        f"a.b.{SIGNATURE}",
        "a.b.c.d",
        "ä.ö.ü",
        "a b.c.d",
        "\0.\0.\0",
        "x" * 5000,
        f"{'x' * 5000}.a.{SIGNATURE}",
    ],
    ids=lambda token: token[:8],
)
def test_what_is_no_token_is_refused(tokens: AccessTokens, token: str) -> None:
    assert refused(tokens, token)


def test_a_token_of_five_kilobytes_is_refused_unread(tokens: AccessTokens, keys: SigningKeys) -> None:
    assert "too long" in refused(tokens, signed(keys, claims(padding="x" * 5000)))


@pytest.mark.parametrize("head", [b"[" * 300, b'{"a":' * 60, b"[" * 90_000, b'{"alg":{"alg":"ES256"}}', b"\xff", b"7"])
def test_a_nested_or_broken_header_is_refused(tokens: AccessTokens, head: bytes) -> None:
    assert refused(tokens, f"{segment(head)}.e30.{SIGNATURE}")


def test_a_header_member_given_twice_is_refused(tokens: AccessTokens, keys: SigningKeys) -> None:
    head = f'{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{keys.active.kid}"}}'.encode()
    assert refused(tokens, f"{segment(head)}.{segment(claims())}.{SIGNATURE}") == "a header member twice"


def test_tokens_of_a_published_key_pass_and_of_a_retired_key_do_not(tmp_path: Path) -> None:
    first = SigningKeys.open(tmp_path)
    old = AccessTokens(first).issue("ana", ["reader"])
    both = first.publish()
    (new_kid,) = set(both.kids) - set(first.kids)
    assert both.active.kid == first.active.kid
    rotated = both.activate(new_kid)
    assert AccessTokens(rotated).verify(old).subject == "ana"
    new = AccessTokens(rotated).issue("ana", ["reader"])
    last = AccessTokens(rotated.retire(first.active.kid))
    assert last.verify(new).subject == "ana"
    assert refused(last, old) == "unknown kid"


@pytest.mark.parametrize(
    ("subject", "roles", "lifetime_s"),
    [("", ["reader"], 60), ("a" * 129, ["reader"], 60), ("ana", ["owner"], 60), ("ana", [], 0), ("ana", [], 901)],
)
def test_a_token_that_may_not_exist_is_not_issued(
    tokens: AccessTokens, subject: str, roles: list[str], lifetime_s: int
) -> None:
    with pytest.raises(TokenRequestInvalid) as caught:
        tokens.issue(subject, roles, lifetime_s=lifetime_s)
    assert caught.value.hint


def test_a_curators_token_names_its_client(tokens: AccessTokens) -> None:
    identity = tokens.verify(tokens.issue("luz", ["curator"], client="aurora"))
    assert (identity.roles, identity.client) == (("curator",), "aurora")
    assert tokens.verify(tokens.issue("ana", ["reader"])).client is None


@pytest.mark.parametrize(
    "client", [..., None, "", "Aurora", "a/../b", "a" * 50, 7, ["aurora"], {"name": "aurora"}, True]
)
def test_a_curators_token_without_a_client_that_may_exist_is_refused(
    tokens: AccessTokens, keys: SigningKeys, client: Any
) -> None:
    assert refused(tokens, signed(keys, claims(roles=["curator"], client=client))) == "client does not fit the roles"


@pytest.mark.parametrize("roles", [["reader"], ["admin", "operator"], []])
@pytest.mark.parametrize("client", ["aurora", None, 7, ""])
def test_nobody_else_has_a_client(tokens: AccessTokens, keys: SigningKeys, roles: list[str], client: Any) -> None:
    assert refused(tokens, signed(keys, claims(roles=roles, client=client))) == "client does not fit the roles"


@pytest.mark.parametrize(("roles", "client"), [(["curator"], None), (["curator"], "A b"), (["reader"], "aurora")])
def test_a_token_of_a_client_that_does_not_fit_is_not_issued(
    tokens: AccessTokens, roles: list[str], client: str | None
) -> None:
    with pytest.raises(TokenRequestInvalid):
        tokens.issue("luz", roles, client=client)
