"""Which role may do what."""

from __future__ import annotations

from security.errors import Forbidden, Unauthenticated
from security.tokens import Identity

READERS = frozenset({"reader", "operator", "admin"})
OPERATORS = frozenset({"operator", "admin"})


def may_read(identity: Identity | None) -> bool:
    """Whether somebody bears a valid token with one of the reading roles."""
    return identity is not None and not READERS.isdisjoint(identity.roles)


def require_operator(identity: Identity | None) -> Identity:
    """Who asks, if they are an operator.

    Raises:
        Unauthenticated: nobody, or somebody without any role.
        Forbidden: a reader.
    """
    if identity is None or not may_read(identity):
        raise Unauthenticated("no role")
    if OPERATORS.isdisjoint(identity.roles):
        raise Forbidden("Only operators may do this.", hint="Ask an administrator for the role `operator`.")
    return identity
