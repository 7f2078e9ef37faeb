"""Refresh tokens (RFC 9700): 256 random bits that mean nothing by themselves, kept by their owner alone."""

from __future__ import annotations

import hashlib
import re
import secrets

TOKEN_BYTES = 32
IDLE_S = 60 * 60
"""How long a token may stay unused: longer than any pause of a page that renews every quarter of an hour, and short
enough that a token found the next day opens nothing."""
FAMILY_LIFETIME_S = 12 * 60 * 60
"""How long one log-in lasts however often it is renewed: a long working day, after which the password is asked for."""

_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def new_refresh_token() -> str:
    """A fresh token: 43 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_refresh_token(text: str) -> bool:
    """Whether ``text`` has the form of one; anything else need not be looked up."""
    return _FORM.fullmatch(text) is not None


def at_rest(token: str) -> bytes:
    """What is stored in place of ``token``. No salt and no stretching: nobody guesses 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
