"""Who signs URLs of pictures, as the file of readers says now: a client that comes while the API runs is shown, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalog.presigning import Presigner
from core.following import Followed
from core.settings import Bucket, Settings


@dataclass(frozen=True)
class Readers:
    """What the file said, by bucket."""

    buckets: Mapping[str, Bucket]
    signers: Mapping[str, Presigner]


class FollowedReaders(Mapping[str, Presigner]):
    """Bucket → who signs for it; see `core.following.Followed`. A look costs one stat.

    Args:
        settings: name the file; none: nobody signs.
        clock: seconds that only grow.

    Raises:
        SettingsError: the file cannot be read; at the beginning only.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._readers = Followed(
            "readers",
            state=lambda: _state(settings),
            read=lambda former: _read(settings, former),
            told=lambda readers: {"buckets": sorted(readers.buckets)},
            clock=clock,
        )

    def __getitem__(self, bucket: str) -> Presigner:
        """Who signs for a bucket."""
        return self._readers.current().signers[bucket]

    def __iter__(self) -> Iterator[str]:
        """The buckets."""
        return iter(self._readers.current().signers)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._readers.current().signers)

    def origins(self) -> Sequence[str]:
        """Where these buckets are, as browsers reach them."""
        return sorted({bucket.endpoint for bucket in self._readers.current().buckets.values()})


def _read(settings: Settings, former: Readers | None) -> Readers:
    buckets = {bucket.bucket: bucket for bucket in settings.readers()}
    before = former or Readers({}, {})
    # One that is as before keeps its client of S3, which takes memory and time to make.
    signers = {
        name: before.signers[name] if before.buckets.get(name) == bucket else Presigner(bucket)
        for name, bucket in buckets.items()
    }
    return Readers(buckets, signers)


def _state(settings: Settings) -> tuple[int, int, int] | None:
    """What any change of the file changes: it is written as a new one that takes the place of the old."""
    try:
        stat = settings.readers_file.stat() if settings.readers_file else None
    except OSError:
        return None
    return stat and (stat.st_ino, stat.st_mtime_ns, stat.st_size)
