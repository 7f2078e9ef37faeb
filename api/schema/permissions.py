"""Every field carries a permission: `readable` is the only way in which this package makes fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.permission import BasePermission
from strawberry.types import Info

from api.context import QueryContext
from api.errors import Forbidden
from security.tokens import CURATOR

READERS = frozenset({"reader", "operator", "admin", CURATOR})


class IsReader(BasePermission):
    """Whoever bears a valid token with a role that may read."""

    message = "No valid access token."
    error_extensions = {"code": "security.unauthenticated", "hint": "Get one from POST /auth/token."}  # noqa: RUF012

    def has_permission(self, source: Any, info: Info[QueryContext, None], **kwargs: Any) -> bool:  # noqa: ARG002
        """Whether the asker has one of the reading roles."""
        identity = info.context.identity
        return identity is not None and not READERS.isdisjoint(identity.roles)


class IsCurator(BasePermission):
    """Whoever bears a valid token of a client's curator: an operator or administrator does not write for clients."""

    message = "This takes the role curator, which writes the products of one client."
    error_extensions = {"code": Forbidden.code, "hint": "Log in as the client's curator."}  # noqa: RUF012

    def has_permission(self, source: Any, info: Info[QueryContext, None], **kwargs: Any) -> bool:  # noqa: ARG002
        """Whether the asker writes for a client."""
        identity = info.context.identity
        return identity is not None and CURATOR in identity.roles and identity.client is not None


def readable(
    *, description: str, name: str | None = None, resolver: Callable[..., Awaitable[Any]] | None = None
) -> Any:
    """A field that readers may ask for."""
    field: Any = strawberry.field(name=name, description=description, permission_classes=[IsReader])
    return field(resolver) if resolver else field


def curated(*, description: str, resolver: Callable[..., Awaitable[Any]]) -> Any:
    """A field of queries that a client's curator may ask for."""
    field: Any = strawberry.field(description=description, permission_classes=[IsReader, IsCurator])
    return field(resolver)


def curating(*, description: str, resolver: Callable[..., Awaitable[Any]]) -> Any:
    """A mutation that a client's curator may ask for."""
    field: Any = strawberry.mutation(description=description, permission_classes=[IsReader, IsCurator])
    return field(resolver)


def client_of(info: Info[QueryContext, None]) -> str:
    """Whose products the asker writes: by the token's claim alone, whatever the arguments say."""
    identity = info.context.identity
    if identity is None or identity.client is None:
        raise Forbidden(IsCurator.message, hint="Log in as the client's curator.")
    return identity.client
