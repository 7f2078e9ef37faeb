"""How large a body each path accepts, counted as it arrives, whatever Content-Length says."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import identity_of
from api.context import services_of
from api.errors import BodyTooLarge
from security.errors import Unauthenticated

MAX_FORM_BYTES = 16 * 1024
MAX_GRAPHQL_BYTES = 256 * 1024
MAX_IMAGE_BYTES = 8 * 1024 * 1024
MAX_UPLOAD_BYTES = MAX_IMAGE_BYTES + MAX_GRAPHQL_BYTES
MAX_WRITE_BYTES = 16 * 1024 * 1024
"""Of a curator: pictures in base64, which makes a third more of them."""


class BodyLimit:
    """ASGI middleware that stops reading a body at its limit and answers 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _limit(scope)
        try:
            await self._app(scope, _counted(receive, limit), send)
        except _TooLarge:
            error = BodyTooLarge(f"The body is larger than {limit:,} bytes.", hint="Send a smaller picture or query.")
            services_of(Request(scope)).metrics.error(error.code)
            await JSONResponse(error.as_dict(), status_code=error.status)(scope, receive, send)


class _TooLarge(BaseException):
    # Not an Exception: nothing between here and the endpoint may mistake it for a body that cannot be parsed.
    pass


def _limit(scope: Scope) -> int:
    if scope["path"] != "/graphql":
        return MAX_FORM_BYTES
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
        return MAX_UPLOAD_BYTES
    # Nobody's word for it: whoever bears no valid token of a curator sends a query and no more.
    return MAX_WRITE_BYTES if b"authorization" in headers and _is_curator(Request(scope)) else MAX_GRAPHQL_BYTES


def _is_curator(request: Request) -> bool:
    try:
        return identity_of(request).client is not None
    except Unauthenticated:
        return False


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _TooLarge
        return message

    return counted
