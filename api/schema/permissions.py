"""Every field carries a permission: `readable` is the only way in which this package makes fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.permission import BasePermission
from strawberry.types import Info

from api.context import QueryContext

READERS = frozenset({"reader", "operator", "admin"})


class IsReader(BasePermission):
    """Whoever bears a valid token with a role that may read."""

    message = "No valid access token."
    error_extensions = {"code": "security.unauthenticated", "hint": "Get one from POST /auth/token."}  # noqa: RUF012

    def has_permission(self, source: Any, info: Info[QueryContext, None], **kwargs: Any) -> bool:  # noqa: ARG002
        """Whether the asker has one of the reading roles."""
        identity = info.context.identity
        return identity is not None and not READERS.isdisjoint(identity.roles)


def readable(
    *, description: str, name: str | None = None, resolver: Callable[..., Awaitable[Any]] | None = None
) -> Any:
    """A field that readers may ask for."""
    field: Any = strawberry.field(name=name, description=description, permission_classes=[IsReader])
    return field(resolver) if resolver else field
