"""What every response says to browsers: load nothing from elsewhere, be framed by nobody, guess no types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Swagger UI sets style attributes; scripts stay limited to files of this server.
DOCS = PAGE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
SECRETIVE = "/auth/"
POLICIES = {"/": PAGE, "/federation": PAGE, "/docs": DOCS}


class SecurityHeaders:
    """ASGI middleware that adds the headers.

    Args:
        app: what answers.
        pictures: where else pages may load pictures from now: the buckets that URLs are signed for.
    """

    def __init__(self, app: ASGIApp, *, pictures: Callable[[], Sequence[str]] = tuple) -> None:
        self._app, self._pictures = app, pictures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self._policy(scope["path"])
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                if scope["path"].startswith(SECRETIVE):
                    # Whatever is answered there: a token, a refusal, or an error that nobody expected.
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, marked)

    def _policy(self, path: str) -> str:
        images = " ".join(["img-src 'self'", *self._pictures()]) if path in POLICIES else ""
        return POLICIES.get(path, NOTHING).replace("img-src 'self'", images)
