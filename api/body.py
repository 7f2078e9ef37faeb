"""How large a body each path accepts, counted as it arrives, whatever Content-Length says."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import identity_of
from api.context import services_of
from api.errors import BodyTooLarge, SessionsUnknown
from security.errors import Unauthenticated

MAX_FORM_BYTES = 16 * 1024
MAX_GRAPHQL_BYTES = 256 * 1024
MAX_IMAGE_BYTES = 8 * 1024 * 1024
MAX_UPLOAD_BYTES = MAX_IMAGE_BYTES + MAX_GRAPHQL_BYTES
UPLOAD_PATH = "/v1/search/image"
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
        try:
            await self._app(scope, _counted(scope, receive), send)
        except _TooLarge as caught:
            message = f"The body is larger than {caught.limit:,} bytes."
            error = BodyTooLarge(message, hint="Send a smaller picture or query.")
            services_of(Request(scope)).metrics.error(error.code)
            await JSONResponse(error.as_dict(), status_code=error.status)(scope, receive, send)


class _TooLarge(BaseException):
    # Not an Exception: nothing between here and the endpoint may mistake it for a body that cannot be parsed.
    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


def _limit(scope: Scope) -> int:
    if scope["path"] == UPLOAD_PATH:
        return MAX_UPLOAD_BYTES
    if scope["path"] != "/graphql":
        return MAX_FORM_BYTES
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
        return MAX_UPLOAD_BYTES
    return MAX_GRAPHQL_BYTES


def _may_write(scope: Scope) -> bool:
    """Whether the request bears a curator's valid token. Nobody's word is taken for it, and few requests ask."""
    try:
        return scope["path"] == "/graphql" and identity_of(Request(scope)).client is not None
    except (Unauthenticated, SessionsUnknown):
        return False


def _counted(scope: Scope, receive: Receive) -> Receive:
    received, limit = 0, _limit(scope)

    async def counted() -> Message:
        nonlocal received, limit
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit < MAX_WRITE_BYTES and _may_write(scope):
            limit = MAX_WRITE_BYTES
        if received > limit:
            raise _TooLarge(limit)
        return message

    return counted
