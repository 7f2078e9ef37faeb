"""One product's picture: out of the shard that holds it, or as an object of its own."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import KeyInvalid, ObjectMissing, ShardDamaged

if TYPE_CHECKING:
    from catalog.objects import ObjectStore

MAX_CACHED_BYTES = 512 * 2**20
_ADDRESS = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>[^#]+)(?:#(?P<id>\d+))?")
OWN = "own/"
"""Below it lie pictures that are objects of their own: those of products that curators write."""


class ShardPictures:
    """Reads single pictures. A shard is fetched at its first picture and kept on disk, the least used ones go.

    Costs one download per shard, then one row group (at most 4 MiB) per picture; a picture that is an object of its own
    costs one request each time. Safe to share between threads.

    Args:
        store: opens the bucket that ``s3_path`` speaks of, at the first picture: a client of S3 takes memory.
        folder: where shards are kept; only this object writes there.
        max_bytes: how much is kept.
    """

    def __init__(self, store: Callable[[], ObjectStore], folder: Path, *, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._open_store, self._folder, self._max_bytes = store, folder, max_bytes
        self._store: ObjectStore | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Path] = OrderedDict()
        self._next = 0

    def picture(self, s3_path: str) -> bytes:
        """The encoded picture at ``s3_path``.

        Raises:
            KeyInvalid: ``s3_path`` names neither a product of a shard nor an object of this bucket.
            ObjectMissing: there is no such shard or object, or no such product in the shard.
            ShardDamaged: the shard is no parquet file.
        """
        address = _ADDRESS.fullmatch(s3_path)
        if address is None:
            raise _unknown(s3_path)
        if address["id"] is None:
            return own_picture(self._opened(), s3_path)
        # One reader at a time: neighbours on a page lie in the same shard, which is fetched once for all of them.
        with self._lock:
            image = _row(self._shard(address["key"]), int(address["id"]), address["key"])
        if image is None:
            raise ObjectMissing(f"{s3_path} is not there.", hint="Load the catalogue again.")
        return image

    def _shard(self, key: str) -> Path:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._next:06d}.parquet"
        self._next += 1
        self._opened().download(key, path)
        self._kept[key] = path
        self._forget()
        return path

    def _opened(self) -> ObjectStore:
        self._store = self._store or self._open_store()
        return self._store

    def _forget(self) -> None:
        sizes = {key: path.stat().st_size for key, path in self._kept.items()}
        while len(self._kept) > 1 and sum(sizes[key] for key in self._kept) > self._max_bytes:
            _, path = self._kept.popitem(last=False)
            path.unlink(missing_ok=True)


def own_picture(store: ObjectStore, s3_path: str) -> bytes:
    """A picture that is an object of its own.

    Raises:
        KeyInvalid: ``s3_path`` names no such object of this bucket.
        ObjectMissing: it is not there.
    """
    address = _ADDRESS.fullmatch(s3_path)
    if address is None or address["bucket"] != store.name or not address["key"].startswith(OWN):
        raise _unknown(s3_path)
    return store.get(address["key"])


def _unknown(s3_path: str) -> KeyInvalid:
    return KeyInvalid(f"{s3_path!r} names no picture of this bucket.", hint="Load the catalogue again.")


def _row(path: Path, product_id: int, key: str) -> bytes | None:
    # Imported late: the API starts, and answers everything but pictures, without it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as parquet:
            for group in range(parquet.num_row_groups):
                ids: list[Any] = parquet.read_row_group(group, columns=["id"]).column("id").to_pylist()
                if product_id in ids:
                    images = parquet.read_row_group(group, columns=["image"]).column("image")
                    return bytes(images[ids.index(product_id)].as_py())
    except pa.ArrowInvalid as error:
        raise ShardDamaged(f"{key} is no parquet file: {error}.", hint="Load the catalogue again.") from error
    return None
