"""How a resolver asks the services behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio.to_thread import run_sync
from strawberry.types import Info

from api.context import QueryContext, Services

T = TypeVar("T")
Request = Info[QueryContext, None]


async def answered(info: Request, work: Callable[[Services], T]) -> T:
    """What the services say, timed under the field's name.

    Database, model and cache block: off the event loop, so that one slow query delays no other.
    """
    services = info.context.services
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services)
