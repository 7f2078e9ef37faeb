"""Sessions of people: a pair of tokens that is renewed until somebody logs out, or a refresh token is used twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from api.limits import RefreshLimits
from api.metrics import ApiMetrics
from api.ports import SessionFamilies
from api.revocations import Revocations
from catalog.sessions import Refused, all_of
from security.errors import SessionEnded
from security.refresh_tokens import FAMILY_LIFETIME_S, IDLE_S, at_rest, is_refresh_token, new_refresh_token
from security.tokens import AccessTokens, Identity

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TokenPair:
    """What a log-in gives, and each renewal anew."""

    access_token: str
    refresh_token: str
    refresh_expires_in: int
    """Seconds."""

    def __repr__(self) -> str:
        # The default would print both tokens into any log that shows this object.
        return "TokenPair(…)"


@dataclass(frozen=True)
class Sessions:
    """Begins sessions, renews and ends them, and says whose an access token is."""

    families: SessionFamilies
    revocations: Revocations
    limits: RefreshLimits
    tokens: AccessTokens
    metrics: ApiMetrics = field(default_factory=ApiMetrics)

    def begin(self, username: str, roles: Sequence[str], client: str | None, address: str) -> TokenPair:
        """The first pair of a new session, of somebody who has proven who they are."""
        refresh = new_refresh_token()
        begun = self.families.begin(
            username, at_rest(refresh), idle_s=IDLE_S, lifetime_s=FAMILY_LIFETIME_S, address=address
        )
        access = self.tokens.issue(username, roles, client=client, session=begun.family)
        return TokenPair(access, refresh, begun.expires_in_s)

    def refresh(self, token: str, address: str) -> TokenPair:
        """The next pair, with the roles and the client that the user has now.

        Raises:
            SessionEnded: ``token`` is no refresh token, has expired, or its session was revoked. One that was used
                before revokes the session.
            TooManyRefreshes: see RefreshLimits.
        """
        self.limits.admit(token, address)
        if not is_refresh_token(token):
            raise SessionEnded("not a refresh token")
        fresh = new_refresh_token()
        renewed = self.families.renew(at_rest(token), at_rest(fresh), idle_s=IDLE_S)
        if isinstance(renewed, Refused):
            raise self._ended(renewed)
        access = self.tokens.issue(renewed.username, renewed.roles, client=renewed.client, session=renewed.family)
        return TokenPair(access, fresh, renewed.expires_in_s)

    def end(self, token: str, address: str) -> None:
        """Log out: revoke the session of a refresh token. One that is over already, or never was, is no error.

        Raises:
            TooManyRefreshes: see RefreshLimits.
        """
        self.limits.admit(token, address)
        if is_refresh_token(token) and (family := self.families.revoke(at_rest(token), "logged out")):
            self.revocations.add(family)

    def identity(self, access_token: str) -> Identity:
        """Who an access token speaks for. Costs no round trip.

        Raises:
            Unauthenticated: it is not valid, its session was revoked, or its client was removed.
            SessionsUnknown: see Revocations.
        """
        identity = self.tokens.verify(access_token)
        if identity.session is not None:
            self.revocations.refuse_revoked(identity.session)
        if identity.client is not None:
            self.revocations.refuse_revoked(all_of(identity.client))
        return identity

    def _ended(self, refused: Refused) -> SessionEnded:
        if refused.ends_family and refused.family is not None:
            self.revocations.add(refused.family)
            self.metrics.session_revoked(refused.reason)
        if refused.reason == "used":
            log.warning("a refresh token came twice: its session is revoked", user=refused.username)
        return SessionEnded(f"refresh token: {refused.reason}")
