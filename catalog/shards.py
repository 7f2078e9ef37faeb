"""Parquet shards: files of rows with their pictures, written and read in constant memory, checked by SHA-256."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import ObjectMissing, ShardDamaged
from catalog.objects import ObjectStore
from catalog.product import ATTRIBUTES, Product

PRODUCT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("filename", pa.string(), nullable=False),
        *(pa.field(name, pa.string()) for name in ATTRIBUTES),
        pa.field("year", pa.int16()),
        pa.field("product_display_name", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
    ]
)
# A row group is what a writer holds and a reader decodes at a time; a shard is what travels at a time.
GROUP_ROWS = 256
GROUP_BYTES = 4 * 2**20
SHARD_BYTES = 128 * 2**20
READ_ROWS = 64


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of rows: where it is, how many rows it has, and the hex SHA-256 of its bytes."""

    key: str
    rows: int
    sha256: str


class ShardWriter:
    """Writes rows to ``<prefix>/part-00000-<hash>.parquet`` and on, a new one after ``rows_per_shard`` rows or 128 MiB.

    A shard whose very bytes are stored already is not stored again: ``shards`` then names the one that is there. Holds
    at most one row group (256 rows or 4 MiB) in memory and one shard on disk. Leave its ``with`` block without an error
    to get the last shard stored; ``shards`` is whole only then.

    Args:
        store: where the shards go.
        prefix: how their keys begin.
        schema: of the rows.
        rows_per_shard: the most rows of one shard.
        known: shards of earlier versions in this store, which may be named again.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        schema: pa.Schema,
        *,
        rows_per_shard: int = 1000,
        known: Iterable[Shard] = (),
    ) -> None:
        self.shards: list[Shard] = []
        self._known = {shard.sha256: shard for shard in known}
        self._store, self._prefix, self._schema, self._rows_per_shard = store, prefix, schema, rows_per_shard
        self._uncompressed = {"image"} & set(schema.names)
        self._folder = tempfile.TemporaryDirectory(prefix="tejido-shards-")
        self._path = Path(self._folder.name) / "part.parquet"
        self._parquet: Any = None
        self._rows: list[dict[str, Any]] = []
        self._held_bytes = 0
        self._shard_rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; ``image`` counts towards the limits."""
        self._rows.append(row)
        self._held_bytes += len(row.get("image") or b"")
        self._shard_rows += 1
        if len(self._rows) >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._write_group()
        if self._shard_rows >= self._rows_per_shard or (self._parquet and self._path.stat().st_size >= SHARD_BYTES):
            self._finish_shard()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None and self._shard_rows:
                self._finish_shard()
            elif self._parquet:
                self._parquet.close()
        finally:
            self._folder.cleanup()

    def _write_group(self) -> None:
        if self._parquet is None:
            # Pictures are compressed already; packing them again costs time and saves nothing.
            packing = {name: "NONE" if name in self._uncompressed else "ZSTD" for name in self._schema.names}
            texts = [name for name in self._schema.names if name not in self._uncompressed]
            self._parquet = pq.ParquetWriter(self._path, self._schema, compression=packing, use_dictionary=texts)
        self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._held_bytes = [], 0

    def _finish_shard(self) -> None:
        if self._rows:
            self._write_group()
        self._parquet.close()
        self.shards.append(self._stored(_sha256(self._path)))
        self._path.unlink()
        self._parquet, self._shard_rows = None, 0

    def _stored(self, sha256: str) -> Shard:
        known = self._known.get(sha256)
        if known and is_whole(self._store, known):
            return known
        # With the hash in its name no shard ever takes the place of another that some manifest still names.
        key = f"{self._prefix}/part-{len(self.shards):05d}-{sha256[:12]}.parquet"
        self._store.upload(self._path, key)
        return Shard(key=key, rows=self._shard_rows, sha256=sha256)


def is_whole(store: ObjectStore, shard: Shard) -> bool:
    """Whether a shard is there with the bytes that its manifest says; reads it."""
    try:
        with _fetched(store, shard):
            return True
    except (ObjectMissing, ShardDamaged):
        return False


def row_of(product: Product) -> dict[str, Any]:
    """A product as a row of PRODUCT_SCHEMA; `asdict` would copy deeply, which takes ten times as long."""
    return {name: getattr(product, name) for name in PRODUCT_SCHEMA.names}


def write_shards(
    store: ObjectStore, prefix: str, products: Iterable[Product], *, rows_per_shard: int = 1000
) -> list[Shard]:
    """Write products, in their order, to shards under ``prefix``; memory does not grow with their number."""
    with ShardWriter(store, prefix, PRODUCT_SCHEMA, rows_per_shard=rows_per_shard) as writer:
        for product in products:
            writer.add(row_of(product))
    return writer.shards


def read_shards(store: ObjectStore, shards: Sequence[Shard], *, batch: int = READ_ROWS) -> Iterator[Product]:
    """Products of the shards, in order, ``batch`` rows in memory at a time.

    Raises:
        ShardDamaged: a shard's bytes differ from its SHA-256; none of its products was yielded.
        ObjectMissing: a shard is not in the store.
    """
    for row in read_rows(store, shards, batch=batch):
        yield Product(**row)


def read_rows(
    store: ObjectStore, shards: Sequence[Shard], *, columns: Sequence[str] | None = None, batch: int = READ_ROWS
) -> Iterator[dict[str, Any]]:
    """Rows of the shards as dicts, in order; only ``columns`` when given. Checked as in `read_shards`."""
    for shard in shards:
        with _fetched(store, shard) as path, pq.ParquetFile(path) as parquet:
            for rows in parquet.iter_batches(batch_size=batch, columns=columns):
                yield from rows.to_pylist()


@contextmanager
def _fetched(store: ObjectStore, shard: Shard) -> Iterator[Path]:
    """A local copy of the shard, whole and checked, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tejido-shard-") as folder:
        path = Path(folder) / "part.parquet"
        store.download(shard.key, path)
        found = _sha256(path)
        if found != shard.sha256:
            raise ShardDamaged(
                f"{shard.key} in {store.name} has SHA-256 {found[:12]}…, its manifest says {shard.sha256[:12]}….",
                hint="Load the catalogue again: `tejido catalog load`.",
            )
        yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
