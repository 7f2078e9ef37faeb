"""The query encoder that belongs to the live index: loaded behind the running API, and again when the index changes.

A query must be read by the model that made the index it is compared with. So the two are held as one object, swapped
as one, and a search keeps the object it started with: no query ever meets the vectors of another model.

Where an older version still answers for products that clients have not embedded anew (catalog.index.left_behind), its
model is loaded too, and held beside.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from api.errors import SearchNotReady
from api.ports import Encoder
from catalog.index import IndexVersion
from catalog.index.left_behind import Straggling
from core.errors import TejidoError

POLL_S = 1.0
TOLD_POLL_S = 5.0
"""How often to look while notices of a new index arrive."""
MAX_POLL_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class LoadedModel:
    """The live index and the encoder of exactly its model."""

    index: IndexVersion
    encoder: Encoder
    older: tuple[OlderModel, ...] = ()
    """Versions that answer for products which this one lacks."""


@dataclass(frozen=True)
class OlderModel:
    """An older version that still answers for some products, and the encoder of exactly its model."""

    straggling: Straggling
    model: LoadedModel


class Notices(Protocol):
    """Tells of a new live index; `api.index_notices.IndexNotices` in production."""

    @property
    def arrive(self) -> bool:
        """Whether they do at the moment."""

    def start(self, heard: Callable[[], None]) -> None:
        """Begin; ``heard`` is called for each."""

    def stop(self) -> None:
        """Stop."""


class LiveModel:
    """Follows the live index in a thread of its own, so that the API starts at once and never waits for torch.

    Args:
        live: says which index is live; asked once a second, or every five while notices arrive.
        load: loads the encoder of that index's model; slow, may raise any TejidoError.
        notices: on each, it is asked at once.
        older: which versions answer beside a live one.
    """

    def __init__(
        self,
        live: Callable[[], IndexVersion | None],
        load: Callable[[IndexVersion], Encoder],
        *,
        older: Callable[[int], Sequence[Straggling]] = lambda _: (),
        poll_s: float = POLL_S,
        told_poll_s: float = TOLD_POLL_S,
        notices: Notices | None = None,
    ) -> None:
        self._older = older
        self._live = live
        self._load = load
        self._poll_s, self._told_poll_s = poll_s, told_poll_s
        self._notices = notices
        self._loaded: LoadedModel | None = None
        self._missing: str = "the model has not been looked for yet"
        self._failed_for: int | None = None
        """The live index whose model could not be loaded when it was last tried."""
        self._has_failed_beside = False
        """Whether that of a version which answers beside could not."""
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="live-model", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        if self._notices:
            self._notices.start(self.wake)
        self._thread.start()

    def wake(self) -> None:
        """Look now, not at the next poll."""
        self._woken.set()

    def stop(self) -> None:
        """Stop following; a load that is under way is not waited for long."""
        self._stopping.set()
        self._woken.set()
        if self._notices:
            self._notices.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def loaded(self) -> LoadedModel | None:
        """The model that searches use now, if there is one."""
        return self._loaded

    @property
    def is_behind(self) -> bool:
        """Whether a model that should answer could not be loaded when it was last tried.

        That of the live index, and the one before answers; or that of an older version, and no search finds what only
        it has.
        """
        return self._failed_for is not None or self._has_failed_beside

    def current(self) -> LoadedModel:
        """The model to search with.

        Raises:
            SearchNotReady: none is loaded yet; says what is missing.
        """
        loaded = self._loaded
        if loaded is None:
            raise SearchNotReady(
                f"Search is not ready: {self._missing}.", hint="Load a catalogue, train and index; see GET /readyz."
            )
        return loaded

    def missing(self) -> str | None:
        """What search still waits for, or None when the model of the live index is loaded.

        Also where that model cannot be loaded, say because its seal does not hold, and the one before goes on:
        a process that was called unready would be taken out of service, and all of them with it.
        """
        live = self._live()
        if live is None:
            return "no index is live"
        loaded = self._loaded
        if loaded is not None and self._failed_for == live.id:
            return None
        if loaded is None or loaded.index.id != live.id:
            return f"the model of index {live.id} is loading"
        return None

    def refresh(self) -> None:
        """Look once, and load what is live if it is not loaded."""
        live = self._live()
        if live is None:
            self._missing = "no index is live"
            self._failed_for, self._has_failed_beside = None, False
            return
        loaded, known = self._loaded, _encoders(self._loaded)
        if loaded is None or loaded.index.id != live.id:
            self._missing = f"the model of index {live.id} is loading"
            try:
                encoder = known.get(model_of(live)) or self._load(live)
                # The version that was live is mostly the one that answers beside: no moment passes without it.
                loaded = LoadedModel(live, encoder, _held(self._older(live.id), known))
            except Exception:
                self._failed_for = live.id
                raise
            self._loaded = loaded
            log.info("search model is live", index=live.id, model=live.model_version)
        # Also after a rollback, where the one that failed is wanted no more.
        self._failed_for = None
        self._look_beside(loaded, known)

    def _look_beside(self, loaded: LoadedModel, known: dict[tuple[str, str, str], Encoder]) -> None:
        """Load what answers beside the live version, and let go of what does so no more."""
        found = tuple(self._older(loaded.index.id))
        if found == tuple(older.straggling for older in loaded.older):
            self._has_failed_beside = False
            return
        known = known | _encoders(loaded)
        try:
            for straggling in found:
                if model_of(straggling.version) not in known:
                    known[model_of(straggling.version)] = self._load(straggling.version)
        except Exception:
            self._has_failed_beside = True
            raise
        self._has_failed_beside = False
        self._loaded = replace(loaded, older=_held(found, known))
        log.info("older versions answer beside", index=loaded.index.id, older=[s.version.id for s in found])

    def _follow(self) -> None:
        wait_s = self._poll_s
        while not self._stopping.is_set():
            # Before the look: what is told during it may be newer than what it sees.
            self._woken.clear()
            if self._stopping.is_set():
                return
            before = self._loaded
            try:
                self.refresh()
                if self._loaded is not before:
                    del before  # So that the earlier model goes, if no search holds it.
                    settle()
                wait_s = self._told_poll_s if self._notices and self._notices.arrive else self._poll_s
            except TejidoError as error:
                self._missing = f"loading failed ({error.code})"
                wait_s = _told(error, wait_s)
            except Exception as error:
                # The thread must outlive whatever a third-party loader raises; /readyz and the log tell of it.
                self._missing = "loading failed (api.unexpected)"
                wait_s = _told(error, wait_s)
            self._woken.wait(wait_s)


def _told(error: Exception, wait_s: float) -> float:
    """Log a failure; returns how long to wait after it."""
    code = error.code if isinstance(error, TejidoError) else "api.unexpected"
    log.error("search model cannot be loaded", code=code, error=str(error), retry_in_s=wait_s, exc_info=error)
    return min(wait_s * 2, MAX_POLL_S)


def _held(found: Sequence[Straggling], known: Mapping[tuple[str, str, str], Encoder]) -> tuple[OlderModel, ...]:
    """Those whose models are loaded."""
    return tuple(
        OlderModel(straggling, LoadedModel(straggling.version, known[model_of(straggling.version)]))
        for straggling in found
        if model_of(straggling.version) in known
    )


def _encoders(loaded: LoadedModel | None) -> dict[tuple[str, str, str], Encoder]:
    """What is loaded, by its model."""
    models = [loaded, *(older.model for older in loaded.older)] if loaded else []
    return {model_of(model.index): model.encoder for model in models}


def model_of(index: IndexVersion) -> tuple[str, str, str]:
    """Which model made an index: two with the same one share their encoder."""
    return index.model_name, index.model_version, index.model_hash


def settle() -> None:
    """Take what is there to stay out of later collections of garbage, which would walk it in the midst of requests.

    A full one takes a third of a second with torch and the schema loaded, and no request is answered meanwhile.
    """
    gc.unfreeze()  # What an earlier model left in cycles shall go.
    gc.collect()
    gc.freeze()
