"""Who signs URLs of pictures, as the file of readers says now: a client that comes while the API runs is shown, too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from catalog.presigning import Presigner
from core.errors import TejidoError
from core.settings import Bucket, Settings

LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class FollowedReaders(Mapping[str, Presigner]):
    """Bucket → who signs for it, give or take a second. Safe to share between threads.

    A look costs one stat. A file that cannot be read while it is in use leaves the readers of before.

    Args:
        settings: name the file; none: nobody signs.
        clock: seconds that only grow.

    Raises:
        SettingsError: the file cannot be read; at the beginning only.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._seen = self._state()
        self._buckets: dict[str, Bucket] = {}
        self._signers: dict[str, Presigner] = {}
        self._take(settings.readers())
        self._look_at = clock() + LOOK_EVERY_S
        self._lock = threading.Lock()

    def __getitem__(self, bucket: str) -> Presigner:
        """Who signs for a bucket."""
        return self._current()[bucket]

    def __iter__(self) -> Iterator[str]:
        """The buckets."""
        return iter(self._current())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._current())

    def origins(self) -> Sequence[str]:
        """Where these buckets are, as browsers reach them."""
        self._current()
        return sorted({bucket.endpoint for bucket in self._buckets.values()})

    def _current(self) -> dict[str, Presigner]:
        # Whoever finds another looking goes on with the readers of before.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = self._clock() + LOOK_EVERY_S
                self._look()
            finally:
                self._lock.release()
        return self._signers

    def _look(self) -> None:
        found = self._state()
        if found == self._seen:
            return
        try:
            self._take(self._settings.readers())
        except TejidoError as error:
            log.error("the readers cannot be read again; those of before stay in use", error=str(error))
            return
        self._seen = found
        log.info("the readers have changed", buckets=sorted(self._buckets))

    def _take(self, readers: Sequence[Bucket]) -> None:
        buckets = {bucket.bucket: bucket for bucket in readers}
        # One that is as before keeps its client of S3, which takes memory and time to make.
        self._signers = {
            name: self._signers[name] if self._buckets.get(name) == bucket else Presigner(bucket)
            for name, bucket in buckets.items()
        }
        self._buckets = buckets

    def _state(self) -> tuple[int, int, int] | None:
        """What any change of the file changes: it is written as a new one that takes the place of the old."""
        try:
            stat = self._settings.readers_file.stat() if self._settings.readers_file else None
        except OSError:
            return None
        return stat and (stat.st_ino, stat.st_mtime_ns, stat.st_size)
