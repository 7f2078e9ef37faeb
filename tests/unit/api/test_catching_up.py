"""What curators wrote comes into an index that was built without it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import pytest

from api.catching_up import CatchingUp
from catalog.own_products import Embedded
from catalog.store import FIRST_OWN_ID, FashionFile
from tests.unit.api.fakes import Parts, picture_of, row, vector_of


def own_row(parts: Parts, number: int) -> FashionFile:
    """A product of aurora's curator whose picture is that of ``number``, in no index yet."""
    picture, key = picture_of(number), f"own/aurora/{number}.jpg"
    parts.bucket.objects[key] = picture
    made = replace(
        row(number), id=FIRST_OWN_ID + number, s3_path=f"s3://data/{key}", origin="curator", owner="aurora", split=None,
        reference=f"a-{number}", image_sha256=hashlib.sha256(picture).hexdigest(),
    )  # fmt: skip
    parts.files.rows.append(made)
    return made


@pytest.fixture
def catching_up(parts: Parts) -> CatchingUp:
    parts.switch_to(1, "1")
    return parts.services.catching_up


def test_what_the_live_index_lacks_is_embedded_once(parts: Parts, catching_up: CatchingUp) -> None:
    rows = [own_row(parts, number) for number in range(1, 41)]
    assert catching_up.look() == 40
    assert catching_up.look() == 0
    assert parts.own.followed == [1, 1]
    for number in (1, 40):
        digest, vector = parts.own.vectors[1, rows[number - 1].id]
        assert digest == rows[number - 1].image_sha256
        assert vector == pytest.approx(vector_of(number, 1))


def test_another_picture_is_embedded_again(parts: Parts, catching_up: CatchingUp) -> None:
    made = own_row(parts, 1)
    parts.own.embed(replace(made, image_sha256="before"), Embedded(1, vector_of(9, 1)))
    parts.files.rows[-1] = made
    assert catching_up.look() == 1


def test_the_next_model_embeds_everything_in_its_own_space(parts: Parts, catching_up: CatchingUp) -> None:
    made = own_row(parts, 3)
    catching_up.look()
    parts.switch_to(2, "2")
    assert catching_up.look() == 1
    assert parts.own.vectors[2, made.id][1] == pytest.approx(vector_of(3, 2))


def test_a_picture_that_cannot_be_read_holds_up_nobody(parts: Parts, catching_up: CatchingUp) -> None:
    lost, broken, fine = (own_row(parts, number) for number in (1, 2, 3))
    del parts.bucket.objects["own/aurora/1.jpg"]
    parts.bucket.objects["own/aurora/2.jpg"] = b"broken"
    assert catching_up.look() == 1
    assert set(parts.own.vectors) == {(1, fine.id)}
    assert [found.id for found in parts.own.behind(1)] == [lost.id, broken.id]


def test_only_one_process_catches_up(parts: Parts, catching_up: CatchingUp) -> None:
    own_row(parts, 1)
    parts.own.is_taken = True
    assert catching_up.look() == 0
    assert parts.own.vectors == {}


def test_without_a_model_there_is_nothing_to_do(parts: Parts) -> None:
    own_row(parts, 1)
    assert parts.services.catching_up.look() == 0


def test_the_thread_outlives_a_database_that_is_away(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.catching_up.LOOK_S", 0.005)
    parts.switch_to(1, "1")
    services = parts.services
    times: list[float] = []

    def behind(version: int, *, after: int = 0, limit: int = 32) -> list[FashionFile]:
        times.append(time.monotonic())
        if len(times) == 1:
            raise OSError("away")
        return []

    monkeypatch.setattr(parts.own, "behind", behind)
    thread = CatchingUp(services.search.model, services.search.vectors, parts.own, parts.bucket.picture)
    thread.start()
    try:
        until(lambda: len(times) == 1)
        thread.soon()
        until(lambda: len(times) == 2)
        parts.switch_to(2, "2")
        until(lambda: len(times) == 3)
        time.sleep(0.05)
        assert len(times) == 3
    finally:
        thread.stop()


def until(holds: object, *, within_s: float = 5) -> None:
    assert callable(holds)
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
