"""Serves what the sources read last. They are read in a thread, each in its own time: a scrape never waits for them."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from core.errors import TejidoError
from core.settings import Settings
from server.monitoring.gauges import gauges
from server.monitoring.runs import Runs
from server.monitoring.services import Indexes, Models, Nodes, flower_of
from server.stores import open_stores

log = structlog.get_logger(__name__)


class Source(Protocol):
    """One place where the platform keeps what it knows."""

    @property
    def name(self) -> str:
        """For people, and as a label."""

    @property
    def every_s(self) -> float:
        """How often it is worth the cost to look."""

    def read(self) -> Iterable[Metric]:
        """Everything in it now."""


def sources_of(settings: Settings) -> list[Source]:
    """Of the parts that the settings name; a platform may run without some."""
    sources: list[Source] = [Runs(open_stores(settings).checkpoints)]
    if settings.postgres_dsn:
        sources.append(Indexes(settings))
    if settings.mlflow_uri:
        sources.append(Models(settings))
    if settings.flwr_home:
        sources.append(Nodes(flower_of(settings)))
    return sources


class Exporter(Collector):
    """What was read last of each source; of one that fails there is nothing, as old numbers would look like new."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._read: dict[str, list[Metric]] = {}
        self._seconds: dict[str, float] = {}
        self._next = dict.fromkeys((source.name for source in sources), 0.0)

    def collect(self) -> Iterable[Metric]:
        """Whether each source could be read, then what was in it."""
        read = dict(self._read)
        up = {(source.name,): float(source.name in read) for source in self._sources}
        yield gauges("monitoring_source_up", "1 when a source could be read.", ("source",), up)
        took = {(name,): seconds for name, seconds in self._seconds.items()}
        yield gauges("monitoring_source_seconds", "Time that reading a source took.", ("source",), took)
        for families in read.values():
            yield from families

    def refresh(self) -> None:
        """Read the sources whose time has come."""
        for source in self._sources:
            began = time.monotonic()
            if began < self._next[source.name]:
                continue
            try:
                self._read[source.name] = list(source.read())
            except Exception as error:
                # Whatever it is, the other sources go on; the gauge and the log say that this one does not.
                self._read.pop(source.name, None)
                code = error.code if isinstance(error, TejidoError) else "server.error"
                log.warning("a source cannot be read", source=source.name, code=code, error=str(error))
            self._seconds[source.name] = time.monotonic() - began
            self._next[source.name] = time.monotonic() + source.every_s

    def follow(self, stopping: threading.Event) -> None:
        """Read again and again, until told to stop."""
        while not stopping.wait(1.0):
            self.refresh()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""


def serve(exporter: Exporter, *, host: str, port: int, token: str, ready: Callable[[int], None]) -> None:
    """Serve /metrics until the process ends.

    Args:
        exporter: what is served.
        host: address to listen at.
        port: 0 for any that is free.
        token: what a scraper must show.
        ready: called with the port once it listens.
    """
    registry = CollectorRegistry()
    registry.register(exporter)
    ProcessCollector(registry=registry)
    app = guarded(make_wsgi_app(registry), token)
    stopping = threading.Event()
    with make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler) as server:
        threading.Thread(target=exporter.follow, args=(stopping,), name="monitoring", daemon=True).start()
        ready(server.server_port)
        try:
            server.serve_forever()
        finally:
            stopping.set()


def guarded(app: Any, token: str) -> Any:
    """``app`` for whoever bears the token, at /metrics only; /healthz tells everybody that the process lives."""

    def guard(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/healthz":
            return _say(start_response, "200 OK", b"alive\n")
        given = environ.get("HTTP_AUTHORIZATION", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _say(start_response, "401 Unauthorized", b"No scraper's token.\n", ("WWW-Authenticate", "Bearer"))
        if path != "/metrics":
            return _say(start_response, "404 Not Found", b"See /metrics.\n")
        found: Iterable[bytes] = app(environ, start_response)
        return found

    return guard


def _say(start_response: StartResponse, status: str, body: bytes, *headers: tuple[str, str]) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]
