"""Spans in memory. OpenTelemetry lets a process choose once where its spans go, so all tests share the place."""

from __future__ import annotations

from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@cache
def recorder() -> InMemorySpanExporter:
    """Where the spans of this process go from now on."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def by_id(spans: tuple[ReadableSpan, ...]) -> dict[int, ReadableSpan]:
    """Spans by their own ids."""
    return {span.context.span_id: span for span in spans if span.context}


def is_below(span: ReadableSpan, root: ReadableSpan, spans: tuple[ReadableSpan, ...]) -> bool:
    """Whether ``span`` is a child of ``root``, or of one of its children."""
    known, current = by_id(spans), span
    while current.parent is not None:
        if root.context and current.parent.span_id == root.context.span_id:
            return True
        current = known[current.parent.span_id]
    return False
