"""Access tokens: short-lived ES256 JWTs. This is the only module that imports ``jose``.

python-jose checks less than its name suggests: it ignores ``kid`` and ``crit``, accepts missing claims and a textual
``exp``, and recurses on nested headers. So the header is checked here, before it, and the claims here, after it.
Whatever is wrong, the caller hears the same ``Unauthenticated``.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from jose import jwk, jwt
from jose.backends.base import Key
from jose.exceptions import JOSEError

from core.names import CLIENT_NAME
from security.errors import TokenRequestInvalid, Unauthenticated
from security.signing_keys import Keys

ALGORITHM = "ES256"
TYPE = "at+jwt"  # RFC 9068, so that no other kind of JWT can stand in for an access token
CURATOR = "curator"
ROLES = ("reader", "operator", "admin", CURATOR)
MAX_TOKEN_CHARS = 4096
MAX_HEADER_CHARS = 512
MAX_LIFETIME_S = 15 * 60
LEEWAY_S = 30
MAX_SUBJECT_CHARS = 128
REMEMBERED = 512
"""Tokens whose signature was found right."""
REMEMBERED_HEADERS = 32
"""All tokens of a key have the same."""

# The signature's 64 bytes have one spelling: of its last character, base64 reads two bits and drops four.
_SEGMENTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
# Not exp and nbf: jose takes a required claim for one to verify too, by its own clock, whatever verify_exp says.
_REQUIRED = {f"require_{claim}": True for claim in ("aud", "iss", "iat", "sub", "jti")}


@dataclass(frozen=True)
class Identity:
    """Who a valid access token speaks for, until when."""

    subject: str
    roles: tuple[str, ...]
    token_id: str
    expires_at: int
    """Seconds since 1970."""
    client: str | None = None
    """Whose products a curator writes; None for everybody else."""
    session: str | None = None
    """The family of refresh tokens that it belongs to, and ends with; None for a token of no session."""


@dataclass(frozen=True)
class AccessTokens:
    """Issues access tokens and verifies them, for one issuer and one audience."""

    keys: Keys
    issuer: str = "tejido"
    audience: str = "tejido-api"
    clock: Callable[[], float] = time.time

    def issue(
        self,
        subject: str,
        roles: Sequence[str],
        *,
        client: str | None = None,
        session: str | None = None,
        lifetime_s: int = MAX_LIFETIME_S,
    ) -> str:
        """A signed token for ``subject``; a curator's names the one client whose products it writes.

        Whoever takes a token of a ``session`` asks whether that was revoked; see api.sessions.

        Raises:
            TokenRequestInvalid: the subject is empty or too long, a role is unknown, a curator has no client or another
                user has one, or the life exceeds 15 minutes.
        """
        _check_request(subject, roles, client, lifetime_s)
        now = int(self.clock())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "roles": list(roles),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_urlsafe(16),
        }
        if client is not None:
            claims["client"] = client
        if session is not None:
            claims["sid"] = session
        key = self.keys.active
        return str(jwt.encode(claims, key.private_pem, ALGORITHM, headers={"kid": key.kid, "typ": TYPE}))

    def verify(self, token: str) -> Identity:
        """Who ``token`` speaks for.

        Raises:
            Unauthenticated: for every other token whatsoever.
        """
        public_pem = self._public_key_for(token)
        try:
            claims = _signed_claims(token, public_pem, self.audience, self.issuer)
        except (JOSEError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(f"{type(error).__name__}: {error}") from None
        return self._identity(claims)

    def _public_key_for(self, token: str) -> str:
        if len(token) > MAX_TOKEN_CHARS or not _SEGMENTS.fullmatch(token):
            raise Unauthenticated("not a compact JWT, or too long")
        header = _header(token.partition(".")[0])
        if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise Unauthenticated("unexpected header")
        public_pem = self.keys.public_pem(header["kid"])
        if public_pem is None:
            raise Unauthenticated("unknown kid")
        return public_pem

    def _identity(self, claims: Mapping[str, object]) -> Identity:
        issued, starts, ends = (_seconds(claims, name) for name in ("iat", "nbf", "exp"))
        now = self.clock()
        if now > ends + LEEWAY_S or now < starts - LEEWAY_S or now < issued - LEEWAY_S:
            raise Unauthenticated("expired, or not valid yet")
        if not 0 < ends - issued <= MAX_LIFETIME_S:
            raise Unauthenticated("lives longer than a token may")
        # A list of audiences would pass jose; ours are always one name.
        if _text(claims, "aud") != self.audience or _text(claims, "iss") != self.issuer:
            raise Unauthenticated("another audience or issuer")
        roles = _roles(claims)
        session = _text(claims, "sid") if "sid" in claims else None
        return Identity(_text(claims, "sub"), roles, _text(claims, "jti"), ends, _client(claims, roles), session)


@lru_cache(maxsize=REMEMBERED)
def _signed_claims(token: str, public_pem: str, audience: str, issuer: str) -> Mapping[str, object]:
    """The claims of a token that this key signed; the same for ever, so that a token's signature is checked once.

    That the key is still ours and the times are right is checked each time, by the caller. Refused tokens are not
    remembered: nobody can fill the memory with them.
    """
    claims = jwt.decode(
        token,
        _verifier(public_pem),
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=issuer,
        # Times are required here and checked by our clock and by type: jose takes a textual exp for a number.
        options={**_REQUIRED, "verify_exp": False, "verify_nbf": False, "leeway": LEEWAY_S},
    )
    return MappingProxyType(claims)


@lru_cache(maxsize=16)
def _verifier(public_pem: str) -> Key:
    """Reading a key takes as long as checking a signature with it."""
    return jwk.construct(public_pem, ALGORITHM)


def _check_request(subject: str, roles: Sequence[str], client: str | None, lifetime_s: int) -> None:
    if not _may_be_said(subject):
        raise TokenRequestInvalid(
            f"A token's subject has 1 to {MAX_SUBJECT_CHARS} characters that can be printed.", hint="Name the user."
        )
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise TokenRequestInvalid(f"Unknown role {unknown[0]!r}.", hint=f"Roles are: {', '.join(ROLES)}.")
    if not _fits(client, roles):
        raise TokenRequestInvalid(
            f"A token with the roles {', '.join(roles) or 'none'} was asked for client {client!r}.",
            hint="A curator has one client, by its name; nobody else has one.",
        )
    if not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise TokenRequestInvalid(
            f"A token of {lifetime_s} s was asked for.", hint=f"A token lives at most {MAX_LIFETIME_S} s."
        )


@lru_cache(maxsize=REMEMBERED_HEADERS)
def _header(segment: str) -> Mapping[str, str]:
    """The token's header as flat text members; refuses nesting and members that are given twice."""
    if len(segment) > MAX_HEADER_CHARS:
        raise Unauthenticated("long header")
    try:
        data = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        members = json.loads(data, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise Unauthenticated("unreadable header") from None
    if not isinstance(members, list) or not all(_is_text_member(member) for member in members):
        raise Unauthenticated("header is not flat text")
    header = dict(members)
    if len(header) != len(members):
        raise Unauthenticated("a header member twice")
    return MappingProxyType(header)


def _is_text_member(member: object) -> bool:
    return isinstance(member, tuple) and len(member) == 2 and all(isinstance(part, str) for part in member)


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unauthenticated(f"{name} is not a whole number")
    return value


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not _may_be_said(value):
        raise Unauthenticated(f"{name} is not a short text")
    return value


def _may_be_said(text: str) -> bool:
    """Whether a log can hold it; neither a NUL nor half a character of another encoding can be written down."""
    return 0 < len(text) <= MAX_SUBJECT_CHARS and text.isprintable()


def _roles(claims: Mapping[str, object]) -> tuple[str, ...]:
    roles = claims.get("roles")
    if not isinstance(roles, list) or not all(role in ROLES for role in roles):
        raise Unauthenticated("roles are not known roles")
    return tuple(str(role) for role in roles)


def _client(claims: Mapping[str, object], roles: Sequence[str]) -> str | None:
    client = claims.get("client")
    if ("client" in claims and not isinstance(client, str)) or not _fits(client, roles):
        raise Unauthenticated("client does not fit the roles")
    return client if isinstance(client, str) else None


def _fits(client: object, roles: Sequence[str]) -> bool:
    """Whether exactly a curator has a client, and a name that clients may have."""
    if CURATOR not in roles:
        return client is None
    return isinstance(client, str) and CLIENT_NAME.fullmatch(client) is not None
