"""The embedded S3 server: nanio, and a second user who may read some objects and do nothing else.

nanio knows many users and no policies: each may do everything. So what its log-in lets through is looked at once more.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nanio.app import build_app
from nanio.auth.credentials import StaticCredentialResolver
from nanio.config import Settings
from nanio.errors import AccessDenied
from starlette.applications import Starlette
from starlette.middleware import Middleware

READS = ("GET", "HEAD")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class ReadOnly:
    """ASGI middleware behind nanio's own: ``reader`` gets single objects below ``prefix``.

    Args:
        app: what answers.
        reader: access key of the user.
        prefix: "/bucket/" or "/bucket/folder/"; a request of just that would list what is in it.
    """

    def __init__(self, app: App, *, reader: str, prefix: str) -> None:
        self._app, self._reader, self._prefix = app, reader, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope.get("nanio.principal") == self._reader and not self._may(scope["method"], scope["path"]):
            refused = AccessDenied("This user may read single objects only.")
            headers = [(b"content-type", b"application/xml")]
            await send({"type": "http.response.start", "status": refused.http_status, "headers": headers})
            await send({"type": "http.response.body", "body": refused.to_xml()})
            return
        await self._app(scope, receive, send)

    def _may(self, method: str, path: str) -> bool:
        inside = path.startswith(self._prefix) and len(path) > len(self._prefix)
        return method in READS and inside and not path.endswith("/") and ".." not in path.split("/")


def create_app() -> Starlette:
    """The server, by its environment."""
    owner, reader = (os.environ[f"NANIO_{who}ACCESS_KEY"] for who in ("", "READER_"))
    secrets = {owner: os.environ["NANIO_SECRET_KEY"], reader: os.environ["NANIO_READER_SECRET_KEY"]}
    settings = Settings(
        data_dir=Path(os.environ["NANIO_DATA_DIR"]).resolve(), credentials=StaticCredentialResolver(secrets)
    )
    app: Starlette = build_app(settings)
    # The last one is the innermost: nanio's log-in stands before it and says who asks.
    app.user_middleware.append(Middleware(ReadOnly, reader=reader, prefix=os.environ["NANIO_READER_PREFIX"]))
    return app
