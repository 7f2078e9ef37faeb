"""Who is asking: names and passwords become short-lived tokens, and tokens become identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel

from api.context import services_of
from api.limits import LoginLimits
from api.ports import Users
from security.errors import Unauthenticated
from security.passwords import hash_password, needs_rehash, password_matches
from security.tokens import MAX_LIFETIME_S, AccessTokens, Identity

MAX_USERNAME_CHARS = 128
CONCURRENT_LOGINS = 2

router = APIRouter(tags=["authentication"])
# Only tells /docs how to log in; `identity_of` is what verifies.
bearer = OAuth2PasswordBearer(tokenUrl="auth/token", auto_error=False)
# Each login fills 19 MiB and a core for a moment: more at once would starve the searches.
_login_threads = CapacityLimiter(CONCURRENT_LOGINS)


class IssuedToken(BaseModel):
    """An access token (RFC 6749, 5.1)."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name, no secret
    expires_in: int = MAX_LIFETIME_S


@dataclass(frozen=True)
class Logins:
    """Turns a name and a password into an access token."""

    users: Users
    limits: LoginLimits
    tokens: AccessTokens

    def log_in(self, username: str, password: str, address: str) -> str:
        """A fresh access token. Costs about 20 ms of a core.

        Raises:
            Unauthenticated: no such user, or another password; the two look and last alike.
            TooManyAttempts, LoginUnavailable: see LoginLimits.
        """
        self.limits.admit(username, address)
        user = self.users.user(username) if _may_be_a_name(username) else None
        if not password_matches(user.password_hash if user else None, password) or user is None:
            raise Unauthenticated("login refused")
        self.limits.succeeded(username)
        if needs_rehash(user.password_hash):
            self.users.put_user(user.username, hash_password(password), user.roles, client=user.client)
        return self.tokens.issue(user.username, user.roles, client=user.client)


def _may_be_a_name(username: str) -> bool:
    # PostgreSQL's text has no NUL: such a name is nobody's, not an error of the database.
    return 0 < len(username) <= MAX_USERNAME_CHARS and "\0" not in username


@router.post("/auth/token", summary="Get an access token")
async def issue_token(
    request: Request, response: Response, form: Annotated[OAuth2PasswordRequestForm, Depends()]
) -> IssuedToken:
    """Exchange a name and a password for a bearer token that lives 15 minutes."""
    logins = services_of(request).logins
    address = request.client.host if request.client else "unknown"
    token = await run_sync(logins.log_in, form.username, form.password, address, limiter=_login_threads)
    response.headers["Cache-Control"] = "no-store"
    return IssuedToken(access_token=token)


def identity_of(request: Request) -> Identity:
    """Who the request's bearer token speaks for.

    Raises:
        Unauthenticated: no token, or none that is valid.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("no bearer token")
    # Not strip(): to Python, bytes that no token has (0x85, 0xA0) are spaces too.
    identity = services_of(request).logins.tokens.verify(token.strip(" "))
    structlog.contextvars.bind_contextvars(user=identity.subject)
    return identity
