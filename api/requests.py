"""Around every request: an id for it, a name for its trace, one line in the log, one entry in the metrics."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import services_of
from api.error_responses import unexpected
from api.metrics import Stopwatch
from core.logs import about
from core.tracing import trace_id

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for every few seconds by machines: counted, not logged."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"

log = structlog.get_logger(__name__)


class Requests:
    """ASGI middleware; also answers what raised unexpectedly, so that such an answer is marked and counted too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        names = {"request": secrets.token_hex(8), **({"trace": found} if (found := trace_id()) else {})}
        with about(**names):
            await _Exchange(self._app, scope, names).serve(receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, scope: Scope, names: dict[str, str]) -> None:
        self._app, self._scope, self._names = app, scope, names
        self._status: int | None = None
        self._watch = Stopwatch()

    async def serve(self, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update({f"X-{name.capitalize()}-Id": value for name, value in self._names.items()})
            await send(message)

        try:
            await self._app(self._scope, receive, marked)
        except Exception as error:
            if self._status is not None:
                raise
            response = await unexpected(Request(self._scope), error)
            await response(self._scope, receive, marked)
        finally:
            self._note()

    def _note(self) -> None:
        scope, status, seconds = self._scope, self._status or 500, self._watch.seconds
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        services_of(Request(scope)).metrics.request(method, route, status, seconds)
        if scope["path"] not in QUIET:
            # The route, not the path and its query, which hold what people look for.
            log.info("answered", method=method, route=route, status=status, seconds=round(seconds, 4))


def route_of(scope: Scope) -> str:
    """The template of the path that matched; one word for all that matched none, as anybody may make up paths."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", UNMATCHED))
