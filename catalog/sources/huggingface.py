"""``hf:owner/name``: a data set of the Hugging Face hub in parquet shards (ashraq/fashion-product-images-small)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.errors import ColumnsMissing, HubUnreachable, SourceMissing, SourceUnreadable
from catalog.sources.rows import TEXTS, RawRow, checked_columns, sample

BATCH_ROWS = 64


class Hub(Protocol):
    """The two things that are asked of the hub; tests put a folder in its place."""

    def files(self, dataset: str) -> list[str]:
        """Paths of all files of a data set."""

    def fetch(self, dataset: str, file: str) -> Path:
        """A local copy of one file; the hub's client keeps it for the next time."""


class HuggingFaceHub:
    """The real hub."""

    def files(self, dataset: str) -> list[str]:
        """Paths of all files of a data set."""
        from huggingface_hub import HfApi

        with _translated(dataset):
            return HfApi().list_repo_files(dataset, repo_type="dataset")

    def fetch(self, dataset: str, file: str) -> Path:
        """A local copy of one file."""
        from huggingface_hub import hf_hub_download

        with _translated(dataset):
            return Path(hf_hub_download(dataset, file, repo_type="dataset"))


class HubSource:
    """Rows of a data set's parquet shards of the split ``train``; downloads them at the first look, then streams.

    A limit draws a seeded sample from the whole set, so all shards are downloaded for it too.

    Raises:
        SourceMissing: no such data set, or it has no parquet files.
        SourceUnreadable: a shard is no parquet.
        ColumnsMissing: its table lacks columns that a product needs.
        HubUnreachable: the hub did not answer.
    """

    def __init__(self, name: str, *, limit: int | None, seed: int, hub: Hub | None = None) -> None:
        self.name = name
        hub = hub or HuggingFaceHub()
        parquet = sorted(file for file in hub.files(name) if file.endswith(".parquet"))
        files = [file for file in parquet if Path(file).name.startswith("train")] or parquet
        if not files:
            raise SourceMissing(f"The data set {name} has no parquet files.", hint="Choose one that has.")
        self._paths = [hub.fetch(name, file) for file in files]
        try:
            schema = pq.read_schema(self._paths[0])
            rows = sum(pq.read_metadata(path).num_rows for path in self._paths)
        except pa.ArrowInvalid as error:
            raise SourceUnreadable(f"The data set {name} has a damaged shard: {error}.") from error
        self._columns = checked_columns(schema.names, f"The data set {name}")
        if "image" not in schema.names:
            raise ColumnsMissing(f"The data set {name} lacks the column image.", hint="Choose one with pictures.")
        self._taken = sample(rows, limit, seed)
        self.expected: int | None = len(self._taken)

    @property
    def spec(self) -> str:
        """``hf:`` and the data set."""
        return f"hf:{self.name}"

    @property
    def dataset(self) -> str:
        """The data set's name on the hub."""
        return self.name

    def __iter__(self) -> Iterator[RawRow]:
        for number, entry in enumerate(self._entries()):
            if number in self._taken:
                texts = {name: _text(entry.get(self._columns.get(name, ""))) for name in TEXTS}
                yield RawRow(row=number + 1, **texts, image=_image(entry["image"]))

    def _entries(self) -> Iterator[dict[str, Any]]:
        columns = [*self._columns.values(), "image"]
        for path in self._paths:
            with pq.ParquetFile(path) as parquet:
                for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                    yield from batch.to_pylist()


def _text(value: object) -> str | None:
    """A cell as it would stand in a csv file."""
    return None if value is None else str(value).strip() or None


def _image(value: object) -> bytes | None:
    """The encoded picture: the hub's image feature keeps it as ``{"bytes", "path"}``."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else None


@contextmanager
def _translated(dataset: str) -> Iterator[None]:
    """Turn what the hub's client raises into our errors."""
    # HTTPError is the root of what its HTTP client raises, whichever client that is.
    from huggingface_hub.errors import HFValidationError, HTTPError, RepositoryNotFoundError  # type: ignore[attr-defined]

    try:
        yield
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise SourceMissing(
            f"The hub has no data set {dataset}.", hint="Check its name; private ones need HF_TOKEN."
        ) from error
    except (HTTPError, OSError) as error:
        raise HubUnreachable(
            f"The Hugging Face hub did not give {dataset}: {type(error).__name__}.",
            hint="Is there a network? `dir:PATH` and `synthetic` need none.",
        ) from error
