"""Every field carries a permission: `readable` and `operable` are the only ways in which this package makes fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.permission import BasePermission
from strawberry.types import Info

from api.context import QueryContext
from api.roles import may_read, require_operator


class IsReader(BasePermission):
    """Whoever bears a valid token with a role that may read."""

    message = "No valid access token."
    error_extensions = {"code": "security.unauthenticated", "hint": "Get one from POST /auth/token."}  # noqa: RUF012

    def has_permission(self, source: Any, info: Info[QueryContext, None], **kwargs: Any) -> bool:  # noqa: ARG002
        """Whether the asker has one of the reading roles."""
        return may_read(info.context.identity)


class IsOperator(BasePermission):
    """Whoever bears a valid token with a role that operates the platform."""

    def has_permission(self, source: Any, info: Info[QueryContext, None], **kwargs: Any) -> bool:  # noqa: ARG002
        """True; whoever may not is told by the error whether a token is missing or a role."""
        require_operator(info.context.identity)
        return True


Resolver = Callable[..., Awaitable[Any]] | None


def readable(*, description: str, name: str | None = None, resolver: Resolver = None) -> Any:
    """A field that readers may ask for."""
    return _field(IsReader, description, name, resolver)


def operable(*, description: str, name: str | None = None, resolver: Resolver = None) -> Any:
    """A field that only operators may ask for."""
    return _field(IsOperator, description, name, resolver)


def operation(*, description: str, resolver: Callable[..., Awaitable[Any]]) -> Any:
    """A mutation that only operators may ask for."""
    return strawberry.mutation(resolver, description=description, permission_classes=[IsOperator])


def _field(permission: type[BasePermission], description: str, name: str | None, resolver: Resolver) -> Any:
    field: Any = strawberry.field(name=name, description=description, permission_classes=[permission])
    return field(resolver) if resolver else field
