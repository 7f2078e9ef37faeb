"""How an operator's field is answered: in threads of their own, so that a slow MLflow delays no search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from strawberry.types import Info

from api.context import QueryContext
from api.operations import Operations

AT_ONCE = 4

T = TypeVar("T")
Request = Info[QueryContext, None]
_looking = CapacityLimiter(AT_ONCE)
# Whoever looks must not wait for what takes seconds: a promotion, a model that is loaded.
slow_threads = CapacityLimiter(AT_ONCE)


async def looked_up(info: Request, work: Callable[[Operations], T]) -> T:
    """What ``work`` finds."""
    services = info.context.services
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services.operations, limiter=_looking)


async def done(info: Request, work: Callable[[Operations, str], T]) -> T:
    """What ``work`` has done in the name of the asker; it goes on where they have left."""
    services, identity = info.context.services, info.context.identity
    subject = identity.subject if identity else ""
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services.operations, subject, limiter=slow_threads)
