"""Traces of requests: FastAPI's own instrumentation, kept from recording what people look for."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import Span

UNTRACED = "/healthz,/readyz,/metrics,/web/"
"""Asked for every few seconds by machines, or nothing but a file."""


def trace_requests(app: FastAPI) -> None:
    """One span a request; what a request does, records spans below it."""
    # The names of today: the older ones hold the whole URL, with its query, in three places.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app, excluded_urls=UNTRACED, exclude_spans=["receive", "send"], server_request_hook=_without_query
    )


def _without_query(span: Span, _: MutableMapping[str, Any]) -> None:
    span.set_attribute("url.query", "")
