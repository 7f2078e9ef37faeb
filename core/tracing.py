"""Traces (OpenTelemetry): off unless a collector is named. Spans say what was done and how long it took, never to
whose words, pictures or rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from core.settings import Settings

STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables, which its exporter reads by itself."""
TRACER = "tejido"


def start_tracing(service: str, settings: Settings) -> None:
    """Send this process's spans to the collector that the settings name; without one, spans cost next to nothing."""
    if not settings.otlp_endpoint and not any(os.environ.get(name) for name in STANDARD):
        return
    # Imported here: a process that is not traced need not wait for it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces" if settings.otlp_endpoint else None
    # In batches, behind the answers: a collector that is gone loses spans, and delays nobody.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def is_traced() -> bool:
    """Whether this process sends spans anywhere."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def trace_id() -> str | None:
    """The trace that is recorded here, as 32 hexadecimal digits; None when there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def span(name: str, *, is_call: bool = False, **attributes: str | int | bool) -> Iterator[trace.Span]:
    """Record the block as one span.

    Args:
        name: the same for all of a kind.
        is_call: whether the block waits for another service.
        attributes: ``_`` in their names stands for ``.``; nothing that people wrote.
    """
    kind = trace.SpanKind.CLIENT if is_call else trace.SpanKind.INTERNAL
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    tracer = trace.get_tracer(TRACER)
    # Not recorded by OpenTelemetry: an error's text may quote what was searched for. Its kind is enough.
    with tracer.start_as_current_span(
        name, kind=kind, attributes=named, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR)
            current.set_attribute("error.type", type(error).__name__)
            raise
