"""Passwords at rest: argon2id, at OWASP's minimum or above, and the same work for a user who does not exist."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from security.errors import PasswordRejected

MIN_CHARS = 12
MAX_CHARS = 256
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""19 MiB and about 20 ms of one core each time: callers bound how many run at once."""


def hash_password(password: str) -> str:
    """The argon2id hash to store, salted and with its parameters.

    Raises:
        PasswordRejected: shorter than 12 characters or longer than 256.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise PasswordRejected(
            f"A password of {len(password)} characters was given.", hint=f"Use {MIN_CHARS} to {MAX_CHARS} characters."
        )
    return _HASHER.hash(password)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Whether ``password`` is the one behind ``password_hash``.

    ``None`` stands for a user who does not exist: it costs the same time, so that names cannot be guessed by it.
    """
    if len(password) > MAX_CHARS:
        return False
    try:
        _HASHER.verify(password_hash or _hash_of_nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with weaker parameters than today's and is to be replaced at this login."""
    return _HASHER.check_needs_rehash(password_hash)


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash("the password of a user who does not exist")
