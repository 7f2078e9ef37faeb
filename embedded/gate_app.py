"""The gate of the embedded stack: TLS to clients elsewhere, and behind it the SuperLink's Fleet API and nothing else.

The SuperLink serves its Control API, which has no log-in, on the same port. So what is passed on is a list of what may
be: POST to a path below ``/v1/fleet/`` of plain words. All else is refused here, before the SuperLink hears of it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

FLEET = re.compile(rb"/v1/fleet(?:/[a-z0-9-]+)+")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
READ_S = 300.0


def create_app() -> Starlette:
    """The gate, by its environment: where the SuperLink is, and the authority that signed its certificate."""
    superlink, authority = os.environ["TEJIDO_GATE_SUPERLINK"], Path(os.environ["TEJIDO_GATE_AUTHORITY"])
    return gate(superlink, httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=str(authority))))


def gate(superlink: str, transport: httpx.AsyncBaseTransport) -> Starlette:
    """The gate before the SuperLink at this URL."""

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        timeout = httpx.Timeout(READ_S, connect=5.0)
        async with httpx.AsyncClient(base_url=superlink, transport=transport, timeout=timeout) as client:
            app.state.client = client
            yield

    return Starlette(routes=[Route("/{path:path}", _pass, methods=list(METHODS))], lifespan=living)


def may_pass(method: str, raw_path: bytes, query: bytes) -> bool:
    """Whether a request is one of the Fleet API; the path as it came, so that nothing is decoded into another."""
    return method == "POST" and not query and FLEET.fullmatch(raw_path) is not None


async def _pass(request: Request) -> Response:
    raw_path: bytes = request.scope["raw_path"]
    if not may_pass(request.method, raw_path, request.scope["query_string"]):
        return PlainTextResponse("Only the Fleet API is here.", status_code=403)
    client: httpx.AsyncClient = request.app.state.client
    headers = [(k, v) for k, v in request.headers.items() if k not in HOP_BY_HOP and k != "host"]
    asked = client.build_request("POST", raw_path.decode(), headers=headers, content=request.stream())
    try:
        answer = await client.send(asked, stream=True)
    except httpx.TransportError:
        return PlainTextResponse("The SuperLink does not answer.", status_code=502)
    kept = {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP}
    return StreamingResponse(_body(answer), status_code=answer.status_code, headers=kept)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
