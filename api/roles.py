"""Which role may do what."""

from __future__ import annotations

from enum import StrEnum

from security.errors import Forbidden, Unauthenticated
from security.tokens import CURATOR, Identity


class Permission(StrEnum):
    """What a field or a route asks of whoever calls it."""

    READ = "read"
    OPERATE = "operate"
    CURATE = "curate"


ROLES = {
    Permission.READ: frozenset({"reader", "operator", "admin", CURATOR}),
    Permission.OPERATE: frozenset({"operator", "admin"}),
    # Neither operator nor administrator writes for a client.
    Permission.CURATE: frozenset({CURATOR}),
}
REFUSALS = {
    Permission.OPERATE: ("Only operators may do this.", "Ask an administrator for the role `operator`."),
    Permission.CURATE: ("Only a client's curator may do this.", "Log in as the client's curator."),
}


def require(identity: Identity | None, permission: Permission) -> Identity:
    """Who asks, if they have a role with this permission.

    Raises:
        Unauthenticated: nobody, or somebody without any role that may read.
        Forbidden: a role, but none of those.
    """
    if identity is None or ROLES[Permission.READ].isdisjoint(identity.roles):
        raise Unauthenticated("no role")
    if ROLES[permission].isdisjoint(identity.roles):
        message, hint = REFUSALS[permission]
        raise Forbidden(message, hint=hint)
    return identity
