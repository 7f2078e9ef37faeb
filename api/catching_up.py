"""Brings curators' products into an index that lacks them: it was built while they were written, or is an older one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from api.live_model import LiveModel, LoadedModel
from api.ports import OwnRows
from api.vectors import QueryVectors
from catalog.own_products import Embedded
from catalog.store import FashionFile
from core.errors import TejidoError

LOOK_S = 1.0
EVERY_S = 60.0
AT_ONCE = 32

log = structlog.get_logger()


class CatchingUp:
    """A thread that looks when the live index has changed, when it is told to, and every minute.

    Args:
        model: of the live index.
        vectors: embeds pictures, one at a time, so that searches go on between them.
        rows: of curators' products.
        picture: reads one by its ``s3_path``.
        every_s: how long it waits when nothing has happened.
    """

    def __init__(
        self,
        model: LiveModel,
        vectors: QueryVectors,
        rows: OwnRows,
        picture: Callable[[str], bytes],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._model, self._vectors, self._rows, self._picture = model, vectors, rows, picture
        self._every_s = every_s
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="catching-up", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; the product that is being embedded is not waited for long."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def soon(self) -> None:
        """Look within a second."""
        self._told.set()

    def look(self) -> int:
        """Embed what the live index lacks, unless another process does; returns how many products that were.

        Raises:
            TejidoError: the database or the index does not answer. Pictures that cannot be read are logged and left.
        """
        loaded = self._model.loaded
        if loaded is None:
            return 0
        with self._rows.alone() as is_alone:
            if not is_alone:
                return 0
            self._rows.follow(loaded.index.id)
            return self._embed_missing(loaded)

    def _embed_missing(self, loaded: LoadedModel) -> int:
        embedded, last = 0, 0
        # By id, so that a picture that cannot be read is passed over and not asked for again and again.
        while rows := self._rows.behind(loaded.index.id, after=last, limit=AT_ONCE):
            for row in rows:
                if self._stopping.is_set() or self._model.loaded is not loaded:
                    return embedded
                embedded += self._embed(loaded, row)
            last = rows[-1].id
        if embedded:
            log.info("index caught up", index=loaded.index.id, products=embedded)
        return embedded

    def _embed(self, loaded: LoadedModel, row: FashionFile) -> bool:
        try:
            vector = self._vectors.of_image(loaded, self._picture(row.s3_path))
            return self._rows.embed(row, Embedded(loaded.index.id, vector))
        except TejidoError as error:
            log.error("product cannot be embedded", product=row.id, code=error.code, error=str(error))
            return False

    def _follow(self) -> None:
        seen, last = None, 0.0
        while not self._stopping.wait(LOOK_S):
            loaded = self._model.loaded
            index = loaded.index.id if loaded else None
            if index == seen and not self._told.is_set() and time.monotonic() - last < self._every_s:
                continue
            self._told.clear()
            seen, last = index, time.monotonic()
            try:
                self.look()
            except Exception as error:
                # The thread must outlive a database that is away, and whatever a picture does to its decoder.
                log.error("catching up failed", index=index, error=str(error), retry_in_s=self._every_s, exc_info=error)
