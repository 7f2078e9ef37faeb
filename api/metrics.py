"""What the API counts and times, for Prometheus. Labels are bounded: routes, fields, kinds and codes, never words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.live_model import LoadedModel

Loaded = Callable[[], LoadedModel | None]
Connections = Callable[[], Mapping[str, int]]
BUCKETS_QUERIES = (1, 2, 4, 8, 16)
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ApiMetrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._state = _State()
        registry.register(self._state)
        ProcessCollector(registry=registry)
        self._requests = Histogram(
            "tejido_api_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("method", "route", "status"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._operations = Histogram(
            "tejido_api_operation_seconds",
            "Time that a field of the GraphQL query took behind the schema.",
            ("operation",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._searches = Histogram(
            "tejido_api_search_seconds",
            "Time that a search took: encoding, neighbours, rows.",
            ("kind", "route"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._cached = Counter(
            "tejido_api_query_vectors",
            "Query vectors that were looked for in the cache.",
            ("found",),
            registry=registry,
        )
        self._together = Histogram(
            "tejido_api_batch_queries",
            "Queries that went through the model in one batch.",
            ("kind",),
            buckets=BUCKETS_QUERIES,
            registry=registry,
        )
        self._revoked = Counter(
            "tejido_api_sessions_revoked",
            "Sessions that ended because of what was shown for them; `used`: a refresh token came twice.",
            ("reason",),
            registry=registry,
        )
        self._errors = Counter("tejido_api_errors", "Errors that callers were told of.", ("code",), registry=registry)

    def watch(self, loaded: Loaded, connections: Connections, *, is_behind: Callable[[], bool] = lambda: False) -> None:
        """Look at the live model and the connections to PostgreSQL whenever somebody reads."""
        self._state.loaded, self._state.connections, self._state.is_behind = loaded, connections, is_behind

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """The block answers a field of a query."""
        with self._operations.labels(name).time():
            yield

    def search(self, kind: str, seconds: float, *, route: str) -> None:
        """A search was answered, by this way of the index's router."""
        self._searches.labels(kind, route).observe(seconds)

    def query_vector(self, *, was_cached: bool) -> None:
        """The vector of a query was looked for in the cache."""
        self._cached.labels("hit" if was_cached else "miss").inc()

    def encoded_together(self, kind: str, queries: int) -> None:
        """A batch of queries goes through the model."""
        self._together.labels(kind).observe(queries)

    def session_revoked(self, reason: str) -> None:
        """A refresh token was shown that ended its session, or whose session was over."""
        self._revoked.labels(reason).inc()

    def error(self, code: str) -> None:
        """A caller was told of an error."""
        self._errors.labels(code).inc()

    def families(self) -> Iterable[Metric]:
        """Everything, as it is now."""
        return self._registry.collect()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.perf_counter() - self._began


class _State(Collector):
    """What is read off when somebody asks."""

    def __init__(self) -> None:
        self.loaded: Loaded = lambda: None
        self.connections: Connections = dict
        self.is_behind: Callable[[], bool] = lambda: False

    def collect(self) -> Iterable[Metric]:
        """The live model, then the pool."""
        yield from _model(self.loaded())
        yield GaugeMetricFamily(
            "tejido_api_model_failed",
            "1 while the model of the live index, or of an older version that answers beside it, cannot be loaded.",
            value=self.is_behind(),
        )
        yield from _pool(self.connections())


def _model(loaded: LoadedModel | None) -> Iterable[Metric]:
    yield GaugeMetricFamily("tejido_api_search_ready", "1 when a model and its index are loaded.", value=bool(loaded))
    live = GaugeMetricFamily(
        "tejido_api_index_info",
        "1 for the index that is searched and the model that reads queries.",
        labels=("index_version", "model_name", "model_version", "catalogue_version"),
    )
    products = GaugeMetricFamily("tejido_api_index_products", "Products in the index that is searched.")
    if loaded:
        index = loaded.index
        live.add_metric((str(index.id), index.model_name, index.model_version, index.catalogue_version), 1)
        products.add_metric((), index.products or 0)
    yield from (live, products)


def _pool(stats: Mapping[str, int]) -> Iterable[Metric]:
    size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
    open_now = GaugeMetricFamily(
        "tejido_api_pool_connections", "Connections to PostgreSQL that are open.", labels=("state",)
    )
    open_now.add_metric(("used",), size - idle)
    open_now.add_metric(("idle",), idle)
    yield open_now
    yield GaugeMetricFamily(
        "tejido_api_pool_max_connections", "Connections that may be open.", value=stats.get("pool_max", 0)
    )
    yield GaugeMetricFamily(
        "tejido_api_pool_waiting", "Requests that wait for a connection.", value=stats.get("requests_waiting", 0)
    )
    yield CounterMetricFamily(
        "tejido_api_pool_requests", "Requests for a connection.", value=stats.get("requests_num", 0)
    )
    yield CounterMetricFamily(
        "tejido_api_pool_wait_seconds",
        "Time that requests waited for a connection.",
        value=stats.get("requests_wait_ms", 0) / 1000,
    )
    yield CounterMetricFamily(
        "tejido_api_pool_errors", "Requests that got no connection.", value=stats.get("requests_errors", 0)
    )
