"""The model follows the live index, and says what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from api.errors import SearchNotReady
from api.live_model import LiveModel, OlderModel
from api.ports import Encoder
from catalog.errors import DatabaseUnreachable
from catalog.index import IndexVersion
from catalog.index.left_behind import Straggling
from security.errors import ArtifactRefused
from tests.unit.api.fakes import FakeEncoder, FakeIndex, FakeRows


@dataclass
class Loader:
    """Loads an encoder for an index, or fails as told; remembers for which indexes it did."""

    loaded: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __call__(self, version: IndexVersion) -> Encoder:
        if self.failures:
            raise self.failures.pop()
        self.loaded.append(version.id)
        return FakeEncoder(space=version.id)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_without_a_live_index_there_is_nothing_to_search_with() -> None:
    model = LiveModel(lambda: None, Loader())
    model.refresh()
    assert model.missing() == "no index is live"
    with pytest.raises(SearchNotReady, match="no index is live") as caught:
        model.current()
    assert caught.value.hint


def test_the_model_is_loaded_for_the_live_index_and_kept_while_it_lives() -> None:
    index, loader = FakeIndex(FakeRows()), Loader()
    index.swap(1, "1")
    model = LiveModel(index.live, loader)
    assert model.missing() == "the model of index 1 is loading"
    for _ in range(3):
        model.refresh()
    assert loader.loaded == [1]
    assert model.missing() is None
    assert model.current().index.id == 1


def test_an_index_of_the_same_model_reuses_the_loaded_encoder() -> None:
    index, loader = FakeIndex(FakeRows()), Loader()
    index.swap(1, "4")
    model = LiveModel(index.live, loader)
    model.refresh()
    encoder = model.current().encoder
    index.swap(2, "4")
    assert model.missing() == "the model of index 2 is loading"
    model.refresh()
    assert model.current().encoder is encoder
    assert model.current().index.id == 2
    index.swap(3, "5")
    model.refresh()
    assert loader.loaded == [1, 3]


def test_an_older_version_that_still_answers_is_held_beside_with_its_own_model() -> None:
    index, loader, beside = FakeIndex(FakeRows()), Loader(), list[Straggling]()
    index.swap(1, "1")
    model = LiveModel(index.live, loader, older=lambda live: beside)
    model.refresh()
    old = model.current().index
    encoder = model.current().encoder
    index.swap(2, "2")
    beside.append(Straggling(old, 20, {}))
    refreshed: list[tuple[OlderModel, ...]] = []

    def look(live: int) -> list[Straggling]:
        refreshed.append(model.current().older)
        return beside

    model._older = look
    model.refresh()
    assert refreshed[-1], "from the moment of the swap on"
    loaded = model.current()
    assert (loaded.index.id, [o.model.index.id for o in loaded.older]) == (2, [1])
    assert loader.loaded == [1, 2]
    model.refresh()
    assert model.current() is loaded
    # Fewer products are left: nothing is loaded again.
    beside[:] = [Straggling(old, 5, {})]
    model.refresh()
    assert [o.straggling.products for o in model.current().older] == [5]
    assert model.current().older[0].model.encoder is loaded.older[0].model.encoder is encoder
    beside.clear()
    model.refresh()
    assert model.current().older == ()
    assert model.current().encoder is loaded.encoder
    assert loader.loaded == [1, 2]


def test_the_live_version_answers_though_the_model_of_an_older_one_cannot_be_had() -> None:
    index, loader = FakeIndex(FakeRows()), Loader()
    index.swap(1, "1")
    model = LiveModel(index.live, loader)
    model.refresh()
    gone = model.current().index
    index.swap(2, "2")
    attempts = iter([[], [DatabaseUnreachable("gone")]])

    def load(version: IndexVersion) -> Encoder:
        loader.failures[:] = next(attempts)
        return loader(version)

    model = LiveModel(index.live, load, older=lambda live: [Straggling(gone, 20, {})])
    with pytest.raises(DatabaseUnreachable):
        model.refresh()
    assert (model.current().index.id, model.current().older) == (2, ())


def test_while_the_next_model_loads_the_last_one_answers() -> None:
    index = FakeIndex(FakeRows())
    index.swap(1, "1")
    seen: list[int] = []

    def load(version: IndexVersion) -> Encoder:
        if version.id == 2:
            seen.append(model.current().index.id)
        return FakeEncoder(space=version.id)

    model = LiveModel(index.live, load)
    model.refresh()
    index.swap(2, "2")
    model.refresh()
    assert seen == [1]
    assert model.current().index.id == 2


def test_the_follower_survives_failures_and_tells_of_them() -> None:
    index = FakeIndex(FakeRows())
    index.swap(1, "1")
    loader = Loader(failures=[RuntimeError("secret path"), DatabaseUnreachable("secret host")])
    model = LiveModel(index.live, loader, poll_s=0.05)
    model.start()
    try:
        until(lambda: len(loader.failures) == 1)
        with pytest.raises(SearchNotReady) as caught:
            model.current()
        assert "secret" not in str(caught.value)
        until(lambda: loader.loaded == [1])
        until(lambda: model.missing() is None)
    finally:
        model.stop()


def test_while_the_next_model_is_refused_the_last_one_answers_and_the_process_stays_ready() -> None:
    index, loader = FakeIndex(FakeRows()), Loader()
    index.swap(1, "1")
    model = LiveModel(index.live, loader, poll_s=0.01)
    model.start()
    try:
        until(lambda: model.loaded)
        loader.failures = [ArtifactRefused("A byte was changed.") for _ in range(1000)]
        index.swap(2, "2")
        with capture_logs() as logs:
            until(lambda: any(entry["event"] == "search model cannot be loaded" for entry in logs))
        (told, *_) = (entry for entry in logs if entry["event"] == "search model cannot be loaded")
        assert (told["log_level"], told["code"]) == ("error", "security.artifact_refused")
        assert model.missing() is None
        assert model.is_behind
        assert model.current().index.id == 1
        loader.failures = []
        model.wake()
        until(lambda: model.current().index.id == 2)
        assert model.missing() is None
        assert not model.is_behind
    finally:
        model.stop()


def test_after_a_rollback_from_a_refused_model_nothing_is_behind() -> None:
    index, loader = FakeIndex(FakeRows()), Loader()
    index.swap(1, "1")
    model = LiveModel(index.live, loader)
    model.refresh()
    served = index.version
    index.swap(2, "2")
    for _ in range(2):
        loader.failures = [ArtifactRefused("A byte was changed.")]
        with pytest.raises(ArtifactRefused):
            model.refresh()
        assert model.is_behind
    index.version = served
    model.refresh()
    assert not model.is_behind
    assert (model.current().index.id, loader.loaded) == (1, [1])


def test_while_the_model_of_an_older_version_is_refused_the_process_is_behind_and_ready() -> None:
    index, loader, beside = FakeIndex(FakeRows()), Loader(), list[Straggling]()
    index.swap(1, "1")
    model = LiveModel(index.live, loader, older=lambda live: beside)
    model.refresh()
    index.swap(2, "2")
    (old,) = index.retired
    model.refresh()
    beside.append(Straggling(replace(old, model_version="0"), 20, {}))
    for _ in range(2):
        loader.failures = [ArtifactRefused("A byte was changed.")]
        with pytest.raises(ArtifactRefused):
            model.refresh()
        assert (model.is_behind, model.missing()) == (True, None)
    model.refresh()
    assert not model.is_behind
    loader.failures = [ArtifactRefused("A byte was changed.")]
    beside[:] = [Straggling(replace(old, model_version="-1"), 20, {})]
    with pytest.raises(ArtifactRefused):
        model.refresh()
    # It is wanted no more: what is held beside goes with it, and nothing is behind.
    beside.clear()
    model.refresh()
    assert (model.is_behind, model.current().older) == (False, ())


def test_without_any_model_a_refused_one_leaves_the_process_unready() -> None:
    index, loader = FakeIndex(FakeRows()), Loader(failures=[ArtifactRefused("A byte was changed.")] * 1000)
    index.swap(1, "1")
    model = LiveModel(index.live, loader, poll_s=0.01)
    model.start()
    try:
        until(lambda: len(loader.failures) < 999)
        assert model.missing() == "the model of index 1 is loading"
    finally:
        model.stop()


def test_stopping_is_quick() -> None:
    model = LiveModel(lambda: None, Loader(), poll_s=30)
    model.start()
    begun = time.monotonic()
    model.stop()
    assert time.monotonic() - begun < 1


@dataclass
class FakeNotices:
    """Tells when a test says so."""

    arrive: bool = True
    heard: Callable[[], None] = lambda: None

    def start(self, heard: Callable[[], None]) -> None:
        self.heard = heard

    def stop(self) -> None:
        self.arrive = False


def test_a_notice_is_followed_at_once_and_not_at_the_next_look() -> None:
    index, notices = FakeIndex(FakeRows()), FakeNotices()
    index.swap(1, "1")
    model = LiveModel(index.live, Loader(), told_poll_s=60, notices=notices)
    model.start()
    try:
        until(lambda: model.loaded)
        index.swap(2, "2")
        time.sleep(0.05)
        assert model.current().index.id == 1
        notices.heard()
        until(lambda: model.current().index.id == 2)
    finally:
        begun = time.monotonic()
        model.stop()
    assert time.monotonic() - begun < 1


def test_while_no_notices_arrive_it_looks_often() -> None:
    index, notices = FakeIndex(FakeRows()), FakeNotices(arrive=False)
    model = LiveModel(index.live, Loader(), poll_s=0.01, told_poll_s=60, notices=notices)
    model.start()
    try:
        for number in (1, 2):
            index.swap(number, str(number))
            until(lambda number=number: model.loaded and model.loaded.index.id == number)  # type: ignore[misc]
    finally:
        model.stop()


def test_a_notice_during_a_load_is_not_forgotten() -> None:
    index, notices = FakeIndex(FakeRows()), FakeNotices()
    index.swap(1, "1")

    def load(version: IndexVersion) -> Encoder:
        if version.id == 1:
            index.swap(2, "2")
            notices.heard()
        return FakeEncoder(space=version.id)

    model = LiveModel(index.live, load, told_poll_s=60, notices=notices)
    model.start()
    try:
        until(lambda: model.loaded and model.loaded.index.id == 2)
    finally:
        model.stop()
