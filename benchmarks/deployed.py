"""A real stack for benchmarks: PostgreSQL, S3, MLflow, a SuperLink and three SuperNodes; no Airflow, no API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from catalog.etl import client_stores, load
from catalog.store import CatalogueStore
from core.settings import ClientBucket
from embedded.layout import Parts
from embedded.stack import Stack
from server.stores import open_stores

CLIENTS = ("aurora", "boreal", "cobre")


@contextmanager
def running(source: str, products: int) -> Iterator[Stack]:
    """The stack in a folder of its own, with ``products`` of ``source`` dealt to three clients."""
    with (
        tempfile.TemporaryDirectory(prefix="tj-") as folder,
        Stack(Path(folder), CLIENTS, parts=Parts(airflow=False, api=False)) as stack,
    ):
        settings = stack.settings()
        buckets = json.loads(Path(settings.required("clients_file")).read_text())
        with CatalogueStore(settings.required("postgres_dsn")) as rows:
            clients = client_stores(ClientBucket(**bucket) for bucket in buckets)
            load(source, store=open_stores(settings).data, catalogue=rows, clients=clients, limit=products)
        yield stack


def federation_run(
    stack: Stack, run: str, *, rounds: int, settings: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    """`tejido federation run`, to its end; the result is the last line of what it prints, as JSON."""
    command = [str(Path(sys.executable).parent / "tejido"), "federation", "run", "--run", run]
    command += ["--rounds", str(rounds), "--format", "json"]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(stack.platform_env)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
