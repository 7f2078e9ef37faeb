"""Queries that come at the same time go together, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from api.batching import Batches
from api.errors import ImageInvalid, Unavailable
from api.live_model import LoadedModel
from api.ports import Vectors
from api.vectors import QueryVectors
from tests.unit.api.fakes import FakeEncoder, FakeValkey, picture_of, vector_of
from tests.unit.metrics import INDEX

PATIENCE_S = 10.0


@dataclass
class Doubling:
    """Work that doubles numbers, once it may; refuses 13."""

    batches: list[list[int]] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    is_under_way: threading.Event = field(default_factory=threading.Event)

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        self.is_under_way.set()
        assert self.may_go_on.wait(PATIENCE_S)
        if 13 in numbers:
            raise ValueError("13 is refused")
        return [2 * number for number in numbers]


@dataclass
class HeldEncoder(FakeEncoder):
    """Encodes texts once it may."""

    may_go_on: threading.Event = field(default_factory=threading.Event)
    is_under_way: threading.Event = field(default_factory=threading.Event)

    def encode_texts(self, texts: list[str]) -> Vectors:
        self.is_under_way.set()
        assert self.may_go_on.wait(PATIENCE_S)
        return super().encode_texts(texts)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.001)


def behind_one(
    batches: Batches, work: Doubling, pool: ThreadPoolExecutor, asked: list[tuple[str, int]]
) -> list[Future[int]]:
    """While the answer to 1 is worked on, others ask, one after the other."""
    futures = [pool.submit(batches.answer, "text", 1, work)]
    assert work.is_under_way.wait(PATIENCE_S)
    for count, (kind, number) in enumerate(asked, start=1):
        futures.append(pool.submit(batches.answer, kind, number, work))
        until(lambda count=count: len(batches._waiting) == count)  # type: ignore[misc]
    return futures


def test_a_lone_question_is_answered_at_once_and_by_its_own_thread() -> None:
    threads: list[threading.Thread] = []

    def work(numbers: list[int]) -> list[int]:
        threads.append(threading.current_thread())
        return numbers

    began = time.monotonic()
    assert [Batches().answer("text", number, work) for number in range(1000)] == list(range(1000))
    assert set(threads) == {threading.current_thread()}
    assert time.monotonic() - began < 1.0  # 1 ms each would be a wait already; it is some 10 µs


def test_those_that_come_while_one_is_answered_go_together_in_their_order(pool: ThreadPoolExecutor) -> None:
    work, told = Doubling(), []
    batches = Batches(told=lambda kind, size: told.append((kind, size)))
    futures = behind_one(batches, work, pool, [("text", number) for number in range(2, 12)])
    work.may_go_on.set()
    assert [future.result(PATIENCE_S) for future in futures] == [2 * number for number in range(1, 12)]
    assert work.batches == [[1], list(range(2, 12))]
    assert told == [("text", 1), ("text", 10)]


def test_kinds_are_never_mixed_and_the_oldest_question_is_first(pool: ThreadPoolExecutor) -> None:
    batches, work = Batches(max_together=2), Doubling()
    asked = [("image", 2), ("text", 3), ("image", 4), ("image", 5), ("text", 6)]
    futures = behind_one(batches, work, pool, asked)
    work.may_go_on.set()
    assert [future.result(PATIENCE_S) for future in futures] == [2, 4, 6, 8, 10, 12]
    assert work.batches == [[1], [2, 4], [3, 6], [5]]


def test_what_is_refused_fails_alone(pool: ThreadPoolExecutor) -> None:
    batches, work = Batches(), Doubling()
    futures = behind_one(batches, work, pool, [("text", 12), ("text", 13), ("text", 14)])
    work.may_go_on.set()
    assert [futures[place].result(PATIENCE_S) for place in (0, 1, 3)] == [2, 24, 28]
    with pytest.raises(ValueError, match="13 is refused"):
        futures[2].result(PATIENCE_S)
    assert batches.answer("text", 21, work) == 42


def test_too_many_are_turned_away_at_once(pool: ThreadPoolExecutor) -> None:
    batches, work = Batches(max_waiting=2), Doubling()
    futures = behind_one(batches, work, pool, [("text", 2), ("text", 3)])
    with pytest.raises(Unavailable):
        batches.answer("text", 4, work)
    work.may_go_on.set()
    assert [future.result(PATIENCE_S) for future in futures] == [2, 4, 6]


def test_a_question_whose_turn_does_not_come_is_turned_away_and_forgotten(pool: ThreadPoolExecutor) -> None:
    batches, work = Batches(max_wait_s=0.05), Doubling()
    futures = behind_one(batches, work, pool, [("text", 2)])
    with pytest.raises(Unavailable):
        futures[1].result(PATIENCE_S)
    work.may_go_on.set()
    # What was taken in time is waited for, however long it takes.
    assert futures[0].result(PATIENCE_S) == 2
    assert work.batches == [[1]]


def test_many_threads_each_get_their_own_answer(pool: ThreadPoolExecutor) -> None:
    batches, sizes = Batches(), []

    def work(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        time.sleep(0.001)
        return [-number for number in numbers]

    answers = pool.map(lambda number: batches.answer(number % 2, number, work), range(1, 2001))
    assert list(answers) == [-number for number in range(1, 2001)]
    assert max(sizes) == 16
    assert sum(sizes) == 2000


def test_one_broken_picture_fails_alone_among_queries_that_were_encoded_together(pool: ThreadPoolExecutor) -> None:
    encoder = HeldEncoder()
    vectors = QueryVectors(FakeValkey())
    model = LoadedModel(INDEX, encoder)
    first = pool.submit(vectors.of_text, model, "like 1")
    assert encoder.is_under_way.wait(PATIENCE_S)
    pictures = [picture_of(2), b"no picture", picture_of(3)]
    others = [pool.submit(vectors.of_image, model, picture) for picture in pictures]
    until(lambda: len(vectors._batches._waiting) == 3)
    encoder.may_go_on.set()
    np.testing.assert_array_equal(first.result(PATIENCE_S), vector_of(1, 1))
    for place, number in ((0, 2), (2, 3)):
        np.testing.assert_array_equal(others[place].result(PATIENCE_S), vector_of(number, 1))
    with pytest.raises(ImageInvalid):
        others[1].result(PATIENCE_S)
