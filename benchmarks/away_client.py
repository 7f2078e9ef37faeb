"""Does a promotion keep the products of a client that is away, and do they move when it is back?

Three clients publish what they hold of ../shared/fashion, as `tejido client publish` does, on a stack of real services
(PostgreSQL, S3, Flower). A second model is promoted while one client is stopped. Its products are looked for by their
own photos: in the index of before, then in what searches answer from meanwhile (the live version and the older one
beside it, each in its own space, merged by calibrated score), then, once it is back and a wave went through, in the
live version alone. The others' products are looked for in the live version each time.
Usage: python -m benchmarks.away_client [--products 12000] [--asked 400]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.deployed import CLIENTS
from benchmarks.inprocess import SOURCE
from benchmarks.reporting import Bar, report, table
from catalog.database import Database
from catalog.etl import client_stores, load
from catalog.index import IndexStore, IndexVersion
from catalog.index.left_behind import LeftBehind, merged
from catalog.store import CatalogueStore, FashionFile
from clients.dataset import Dataset, open_dataset
from clients.publication import Publication, write_publication
from core.progress import LogProgress
from core.settings import ClientBucket, Settings
from embedded.errors import EmbeddedError
from embedded.layout import Parts
from embedded.stack import Stack
from embedded.sweep import kill_service
from federation.config import FederationConfig
from federation.encoder import Vectors
from server.indexing import build_index
from server.promotion import promote
from server.runs import run_federation
from server.serving import load_version
from server.stores import open_stores
from server.waves import run_waves

AWAY = CLIENTS[-1]
K = 10
PAGE = 100


@dataclass(frozen=True)
class Platform:
    """A running stack and what it is asked about."""

    stack: Stack
    settings: Settings
    asked: dict[str, list[FashionFile]]
    """Client → those of its published products that are looked for."""
    photos: dict[str, bytes]
    """SHA-256 → the picture, as its client keeps it."""

    def live(self) -> IndexVersion:
        """The version that answers."""
        with IndexStore(self.settings.required("postgres_dsn")) as index:
            live = index.live()
        if live is None:
            raise RuntimeError("no index is live")
        return live

    def behind(self) -> int:
        """How many published products only an older version holds."""
        with Database(self.settings.required("postgres_dsn")) as database:
            return sum(older.products for older in LeftBehind(database).of(self.live().id))

    def vectors(self, files: Sequence[FashionFile], version: IndexVersion) -> Vectors:
        """(N, D) vectors of their photos in the space of a version."""
        return load_version(self.settings, version).encoder.encode_images([self.photos[f.image_sha256] for f in files])

    def found(self, owner: str) -> float:
        """Recall@10: the share of the client's products that are among the ten that searches by their photos show."""
        files = self.asked[owner]
        with Database(self.settings.required("postgres_dsn")) as database, IndexStore(database) as index:
            live, behind = self.live(), LeftBehind(database)
            older = [(version, self.vectors(files, version.version)) for version in behind.of(live.id)]
            shown = []
            for number, vector in enumerate(self.vectors(files, live)):
                hits = index.search(vector, K + 1, version=live.id).hits
                for version, vectors in older:
                    hits = merged(hits, behind.search(version, vectors[number], K + 1, kind="image"), k=K + 1)
                shown.append({hit.product_id for hit in hits[:K]})
        return float(np.mean([file.id in ids for file, ids in zip(files, shown, strict=True)]))


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=12_000)
    parser.add_argument("--asked", type=int, default=400)
    parser.add_argument("--source", default=SOURCE)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tj-") as folder,
        Stack(Path(folder), CLIENTS, parts=Parts(airflow=False, api=False)) as stack,
    ):
        settings = stack.settings()
        clients = json.loads(Path(settings.required("clients_file")).read_text())
        with CatalogueStore(settings.required("postgres_dsn")) as rows:
            buckets = client_stores(ClientBucket(**client) for client in clients)
            load(
                options.source,
                store=open_stores(settings).data,
                catalogue=rows,
                clients=buckets,
                limit=options.products,
            )
        train(settings, seed=0)
        build_index(settings, LogProgress())
        with psycopg.connect(settings.required("postgres_dsn")) as connection:
            # What clients hold is shown by their own word alone from here on.
            connection.execute("DELETE FROM fashion_files WHERE owner IS NOT NULL")
        build_index(settings, LogProgress(), rebuild=True)
        for client in CLIENTS:
            write_publication(dataset_of(stack, client).store, Publication(everything=True))
        run_waves(settings, LogProgress())
        platform = published(stack, settings, options.asked)
        before = {client: platform.found(client) for client in CLIENTS}
        train(settings, seed=1)
        for service in ("supernode", "clientapps"):
            kill_service(stack.state.stack_id, f"{service}-{AWAY}")
        built = build_index(settings, LogProgress())
        away = {client: platform.found(client) for client in CLIENTS}
        left = [one for one in built["left_behind"] if one["client"] == AWAY]
        restart(stack, f"supernode-{AWAY}", f"clientapps-{AWAY}")
        returned = run_waves(settings, LogProgress())["clients"][AWAY]
        after = {client: platform.found(client) for client in CLIENTS}
        still_behind = platform.behind()
    ratios = [away[AWAY] / before[AWAY], after[AWAY] / before[AWAY]]
    report(
        "away_client",
        __doc__ or "",
        shown=table(
            ("client", "asked", "before", "while one is away", "after its return"),
            [
                (client + (" (away)" if client == AWAY else ""), len(platform.asked[client]), f"{before[client]:.3f}",
                 f"{away[client]:.3f}", f"{after[client]:.3f}")
                for client in CLIENTS
            ],
        )
        + f"\nleft behind: {left}; its wave after the return: {returned}",
        figures={"before": before, "away": away, "after": after, "left_behind": left, "returned": returned},
        bars=[
            Bar("recall@10 of the products of who is away, of before", 0.95, ratios[0], is_floor=True),
            Bar("the same after the return", 0.95, ratios[1], is_floor=True),
            Bar("products that the live version lacks after the return", 0, still_behind),
        ],
    )  # fmt: skip


def train(settings: Settings, *, seed: int) -> None:
    """A federated run of heads over all three clients, promoted whatever it finds."""
    config = FederationConfig(rounds=3, local_epochs=5, seed=seed)
    run = run_federation(settings, config, f"seed-{seed}", LogProgress())
    promote(settings, version=run["mlflow"]["version"], override="for a benchmark")


def published(stack: Stack, settings: Settings, asked: int) -> Platform:
    """Some products of each client, and their photos."""
    files: dict[str, list[FashionFile]] = {client: [] for client in CLIENTS}
    with CatalogueStore(settings.required("postgres_dsn")) as rows:
        for offset in range(0, 100_000, 1000):
            page = rows.all_files(1000, offset)
            for file in page:
                if file.origin == "published" and file.owner in files:
                    files[file.owner].append(file)
            if len(page) < 1000:
                break
    draws = np.random.default_rng(0)
    chosen = {client: [found[n] for n in draws.permutation(len(found))[:asked]] for client, found in files.items()}
    wanted = {file.image_sha256 for some in chosen.values() for file in some}
    photos = {
        product.image_sha256: product.image
        for client in CLIENTS
        for product in dataset_of(stack, client).products()
        if product.image_sha256 in wanted
    }
    return Platform(stack, settings, chosen, photos)


def dataset_of(stack: Stack, client: str) -> Dataset:
    """What a client holds, as it sees it."""
    return open_dataset(stack.client_settings(client), partition=None)


def restart(stack: Stack, *services: str) -> None:
    """Start what was killed; the SuperLink takes such a node for online, and refuses it, for up to a minute."""
    for service in services:
        for attempt in range(12):
            try:
                stack.restart(service)
                break
            except EmbeddedError:
                if attempt == 11:
                    raise
                time.sleep(10)


if __name__ == "__main__":
    main()
