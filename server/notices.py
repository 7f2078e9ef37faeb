"""What operators are told where they read: one post to the web hook ``TEJIDO_NOTIFY_URL``, where there is one."""

from __future__ import annotations

from typing import Any

import httpx
import structlog

from core.settings import Settings

POST_S = 10.0
log = structlog.get_logger()


def post_notice(settings: Settings, text: str, **about: Any) -> None:
    """Post ``text``, which chat services show, with what it is about; that nobody listens is logged and no error."""
    if not settings.notify_url:
        return
    try:
        url = settings.required("notify_url")
        httpx.post(url, json={"text": text, **about}, timeout=POST_S).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Whoever listens may be down: nothing depends on it. The address may hold a token: not into the log.
        log.warning("a notice could not be posted", error=type(error).__name__, text=text)
