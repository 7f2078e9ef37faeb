"""Every field carries a permission: the functions here are the only ways in which this package makes fields.

It is looked at once for each field of a document, before any of it is resolved, and not again for each of a thousand
values: see `api.schema.permitted`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import strawberry
from strawberry.types import Info

from api.context import QueryContext
from api.roles import Permission, require
from security.errors import Unauthenticated

PERMISSION = "permission"
Resolver = Callable[..., Awaitable[Any]]


def readable(*, description: str, name: str | None = None, resolver: Resolver | None = None) -> Any:
    """A field that readers may ask for."""
    return _field(Permission.READ, description, name, resolver)


def operable(*, description: str, name: str | None = None, resolver: Resolver | None = None) -> Any:
    """A field that only operators may ask for."""
    return _field(Permission.OPERATE, description, name, resolver)


def operation(*, description: str, resolver: Resolver) -> Any:
    """A mutation that only operators may ask for."""
    return strawberry.mutation(resolver, description=description, metadata=_marked(Permission.OPERATE))


def curated(*, description: str, resolver: Resolver) -> Any:
    """A field of queries that only a client's curator may ask for."""
    return _field(Permission.CURATE, description, None, resolver)


def curating(*, description: str, resolver: Resolver) -> Any:
    """A mutation that only a client's curator may ask for."""
    return strawberry.mutation(resolver, description=description, metadata=_marked(Permission.CURATE))


def client_of(info: Info[QueryContext, None]) -> str:
    """Whose products the asker writes: by the token's claim alone, whatever the arguments say."""
    identity = require(info.context.identity, Permission.CURATE)
    if identity.client is None:
        raise Unauthenticated("a curator of no client")
    return identity.client


def permission_of(metadata: Mapping[Any, Any]) -> Permission | None:
    """What a field asks for; None where it was made in another way, which nobody may ask for."""
    found = metadata.get(PERMISSION)
    return found if isinstance(found, Permission) else None


def _field(permission: Permission, description: str, name: str | None, resolver: Resolver | None) -> Any:
    field: Any = strawberry.field(name=name, description=description, metadata=_marked(permission))
    return field(resolver) if resolver else field


def _marked(permission: Permission) -> dict[Any, Any]:
    return {PERMISSION: permission}
