"""What is written of a wave: whose fault it is when a client's pages cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from catalog.errors import DatabaseUnreachable, IndexVersionMissing, OfferInvalid, VectorsInvalid
from core.errors import TejidoError
from server.waves import write

TOLD = {"state": "complete", "reason": "", "published": 3, "pages": 2}


class Rows:
    """Publications that fail at a page."""

    def __init__(self, failure: TejidoError | None = None) -> None:
        self.failure, self.kept = failure, False

    def put_page(self, *_: Any) -> Any:
        if self.failure:
            raise self.failure
        return SimpleNamespace(written=1, shown_already=0, references=[7])

    def keep_only(self, client: str, references: list[int]) -> int:
        assert (client, references) == ("aurora", [7, 7])
        self.kept = True
        return 1


def written(rows: Rows) -> Any:
    folder = SimpleNamespace(pages=lambda client, count: [SimpleNamespace(offers=(), vectors=None)] * count)
    return write(cast(Any, rows), cast(Any, folder), cast(Any, SimpleNamespace(id=1)), "aurora", TOLD)


def test_what_came_whole_is_written_and_the_rest_taken_out() -> None:
    rows = Rows()
    heard = written(rows)
    assert (heard.state, heard.written, heard.removed) == ("complete", 2, 1)
    assert rows.kept


@pytest.mark.parametrize("failure", [OfferInvalid("twice"), VectorsInvalid("not finite")])
def test_pages_that_are_wrong_are_refused(failure: TejidoError) -> None:
    rows = Rows(failure)
    assert (written(rows).state, rows.kept) == ("refused", False)


@pytest.mark.parametrize("failure", [DatabaseUnreachable("away", hint="wait"), IndexVersionMissing("gone", hint="")])
def test_a_platform_that_fails_blames_no_client_and_takes_nothing_out(failure: TejidoError) -> None:
    rows = Rows(failure)
    heard = written(rows)
    assert (heard.state, heard.reason, rows.kept) == ("failed", failure.message, False)
