"""Tells whoever serves searches that another index is live; they look for themselves anyway, only later."""

from __future__ import annotations

import json

import structlog
from valkey import Valkey
from valkey.exceptions import ValkeyError

from core.settings import Settings

CHANNEL = "tejido:index"
PATIENCE_S = 0.5
"""A rollback may last a second in all."""

log = structlog.get_logger(__name__)


def announce_index(settings: Settings, version: int) -> None:
    """Publish that an index version is live; without Valkey that is logged and no error."""
    if not settings.valkey_url:
        return
    try:
        url = settings.required("valkey_url")
        with Valkey.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S) as valkey:
            valkey.publish(CHANNEL, json.dumps({"index": version}))
    except (ValkeyError, ValueError) as error:
        # The address may hold a password: not into the log. What was done is done, and is found by looking.
        log.warning("a new live index could not be announced", index=version, error=type(error).__name__)
