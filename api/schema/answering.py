"""How a resolver asks the services behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio.to_thread import run_sync
from strawberry.types import Info

from api.arguments import checked_first
from api.context import QueryContext, Services

T = TypeVar("T")
Request = Info[QueryContext, None]


def counted(info: Request, rows: int, *, name: str = "first", lists: int = 1) -> int:
    """How many rows are asked for, once they are within the range, and what the document may ask for in all.

    Args:
        info: of the field.
        rows: of one list.
        name: of the argument that says so.
        lists: how many such lists the field has.

    Raises:
        ArgumentInvalid, QueryRejected: they are not.
    """
    checked_first(rows, name=name)
    info.context.rows.take(rows * lists)
    return rows


async def answered(info: Request, work: Callable[[Services], T]) -> T:
    """What the services say, timed under the field's name.

    Database, model and cache block: off the event loop, so that one slow query delays no other.
    """
    services = info.context.services
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services)
