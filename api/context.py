"""What stands behind a running API, and what a request knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from fastapi import Request

from api.errors import QueryRejected
from api.metrics import ApiMetrics
from security.tokens import Identity

if TYPE_CHECKING:
    from api.auth import Logins, MachineLogins
    from api.catching_up import CatchingUp
    from api.comparison import Comparison
    from api.curating import Curating
    from api.health import Readiness
    from api.image_urls import ImageUrls
    from api.limits import SearchLimits
    from api.operations import Operations
    from api.pictures import Pictures
    from api.ports import Files
    from api.search import Search
    from api.sessions import Sessions
    from api.vocabulary import Vocabulary


MAX_ROWS = 200
"""Of all lists of a document together. Each takes some 20 microseconds in the one thread that serves everybody, and ten
aliases of the largest page would hold the others up for 20 ms."""


@dataclass(frozen=True)
class Services:
    """The parts that answer requests; made once per process."""

    logins: Logins
    machine_logins: MachineLogins
    sessions: Sessions
    files: Files
    vocabulary: Vocabulary
    search: Search
    pictures: Pictures
    image_urls: ImageUrls
    curating: Curating
    catching_up: CatchingUp
    readiness: Readiness
    operations: Operations
    comparison: Comparison
    search_limits: SearchLimits
    introspection: bool = False
    metrics: ApiMetrics = field(default_factory=ApiMetrics)
    metrics_token: str | None = None
    """What a scraper must show; None: nobody may read the metrics."""
    connections: Callable[[], Mapping[str, int]] = dict
    """What the pool of connections to PostgreSQL counts."""
    close: Callable[[], object] = lambda: None
    """Lets go of connections when the process ends."""


class Rows:
    """How many rows the lists of one document may still have together."""

    def __init__(self) -> None:
        self._left = MAX_ROWS

    def take(self, rows: int) -> None:
        """Count a list of so many.

        Raises:
            QueryRejected: they are more than are left.
        """
        if rows > self._left:
            raise QueryRejected(
                f"The query asks for more than {MAX_ROWS} rows in all.", hint="Ask for fewer, or split the query."
            )
        self._left -= rows


@dataclass(frozen=True)
class QueryContext:
    """What a resolver knows: who asks, and whom to ask."""

    identity: Identity | None
    services: Services
    rows: Rows = field(default_factory=Rows)


def services_of(request: Request) -> Services:
    """The services of the app that serves ``request``."""
    return cast(Services, request.app.state.services)
