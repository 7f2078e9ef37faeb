"""Who is asking: names and passwords become sessions of short-lived tokens, and tokens become identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Form, Request
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel

from api.context import services_of
from api.limits import LoginLimits
from api.ports import Audit, Machines, Users
from api.sessions import Sessions, TokenPair
from core.names import CLIENT_NAME
from security.errors import Unauthenticated
from security.passwords import hash_password, needs_rehash, password_matches
from security.refresh_tokens import at_rest, is_refresh_token
from security.tokens import MAX_LIFETIME_S, AccessTokens, Identity

MAX_USERNAME_CHARS = 128
CONCURRENT_LOGINS = 2
CONCURRENT_RENEWALS = 4
MACHINE_LIFETIME_S = 5 * 60
"""Of a program's token: one that was removed is let in no longer than that."""

router = APIRouter(tags=["authentication"])
# Only tells /docs how to log in; `identity_of` is what verifies.
bearer = OAuth2PasswordBearer(tokenUrl="auth/token", auto_error=False)
# Each login fills 19 MiB and a core for a moment: more at once would starve the searches.
_login_threads = CapacityLimiter(CONCURRENT_LOGINS)
# Each holds a connection to PostgreSQL: a flood of them must leave some to the searches.
_renewal_threads = CapacityLimiter(CONCURRENT_RENEWALS)

RefreshToken = Annotated[str, Form(description="The one of the last answer; each is good for one use.")]


class IssuedTokens(BaseModel):
    """An access token, and the refresh token that gives the next pair (RFC 6749, 5.1)."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name, no secret
    expires_in: int = MAX_LIFETIME_S
    refresh_token: str
    refresh_expires_in: int
    """Seconds until it is worth nothing, unless it is used before."""

    @classmethod
    def of(cls, pair: TokenPair) -> IssuedTokens:
        """The answer that hands ``pair`` out."""
        return cls(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            refresh_expires_in=pair.refresh_expires_in,
        )


class MachineToken(BaseModel):
    """An access token of a program, which has no session: it shows its secret again."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name, no secret
    expires_in: int = MACHINE_LIFETIME_S


@dataclass(frozen=True)
class Logins:
    """Turns a name and a password into a session."""

    users: Users
    limits: LoginLimits
    sessions: Sessions
    audit: Audit

    def log_in(self, username: str, password: str, address: str) -> TokenPair:
        """The first tokens of a new session. Costs about 20 ms of a core.

        Raises:
            Unauthenticated: no such user, or another password; the two look and last alike.
            TooManyAttempts, LoginUnavailable: see LoginLimits.
        """
        self.limits.admit(username, address)
        user = self.users.user(username) if _may_be_a_name(username) else None
        if not password_matches(user.password_hash if user else None, password) or user is None:
            # A name that nobody has may be a password, typed into the wrong field.
            self.audit.append("login_refused", user.username if user else "nobody", address=address)
            raise Unauthenticated("login refused")
        self.limits.succeeded(username)
        if needs_rehash(user.password_hash):
            self.users.put_user(user.username, hash_password(password), user.roles, client=user.client)
        return self.sessions.begin(user.username, user.roles, user.client, address)


@dataclass(frozen=True)
class MachineLogins:
    """Turns a program's name and secret into an access token (RFC 6749, 4.4)."""

    machines: Machines
    limits: LoginLimits
    tokens: AccessTokens
    audit: Audit

    def log_in(self, name: str, secret: str, address: str) -> str:
        """An access token of `MACHINE_LIFETIME_S`.

        Raises:
            Unauthenticated: no such program, another secret, or its time is over; all look alike.
            TooManyAttempts, LoginUnavailable: see LoginLimits.
        """
        self.limits.admit(f"machine {name}", address)
        is_one = is_refresh_token(secret) and CLIENT_NAME.fullmatch(name) is not None
        admitted = self.machines.admit(name, at_rest(secret), address=address) if is_one else None
        if admitted is None:
            self.audit.append("login_refused", "a machine", address=address)
            raise Unauthenticated("machine refused")
        self.limits.succeeded(f"machine {name}")
        return self.tokens.issue(
            f"machine {name}", admitted.roles, client=admitted.client, lifetime_s=MACHINE_LIFETIME_S
        )


def _may_be_a_name(username: str) -> bool:
    # PostgreSQL's text has no NUL: such a name is nobody's, not an error of the database.
    return 0 < len(username) <= MAX_USERNAME_CHARS and "\0" not in username


@router.post("/auth/token", summary="Log in")
async def issue_tokens(request: Request, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> IssuedTokens:
    """Exchange a name and a password for a bearer token that lives 15 minutes, and a refresh token."""
    log_in = services_of(request).logins.log_in
    return IssuedTokens.of(
        await run_sync(log_in, form.username, form.password, _address(request), limiter=_login_threads)
    )


@router.post("/auth/machine", summary="Log in as a program")
async def issue_machine_token(
    request: Request, client_id: Annotated[str, Form()], client_secret: Annotated[str, Form()]
) -> MachineToken:
    """Exchange a program's name and secret for a bearer token that lives 5 minutes; ask again for the next one."""
    log_in = services_of(request).machine_logins.log_in
    token = await run_sync(log_in, client_id, client_secret, _address(request), limiter=_renewal_threads)
    return MachineToken(access_token=token)


@router.post("/auth/refresh", summary="Renew a session")
async def refresh(request: Request, refresh_token: RefreshToken) -> IssuedTokens:
    """Exchange a refresh token for the next pair; one that was used before ends its whole session."""
    renew = services_of(request).sessions.refresh
    return IssuedTokens.of(await run_sync(renew, refresh_token, _address(request), limiter=_renewal_threads))


@router.post("/auth/logout", summary="Log out", status_code=204)
async def log_out(request: Request, refresh_token: RefreshToken) -> None:
    """End a session: its refresh tokens and its access tokens are worth nothing from now on."""
    await run_sync(services_of(request).sessions.end, refresh_token, _address(request), limiter=_renewal_threads)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def identity_of(request: Request) -> Identity:
    """Who the request's bearer token speaks for.

    Raises:
        Unauthenticated: no token, or none that is valid.
        SessionsUnknown: see api.revocations.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("no bearer token")
    # Not strip(): to Python, bytes that no token has (0x85, 0xA0) are spaces too.
    identity = services_of(request).sessions.identity(token.strip(" "))
    structlog.contextvars.bind_contextvars(user=identity.subject)
    return identity
