from __future__ import annotations

import numpy as np
import pytest

from benchmarks.traffic import PARTS, WHOLE, Traffic, bars, drawn_like, measure, share, tables
from federation.config import ENCODINGS
from federation.evaluation import Retrieval
from federation.tensors import size_bytes
from tests.models import tiny_state


def retrieval(recall: float) -> Retrieval:
    values = np.array([recall])
    return Retrieval(1, values, values, values)


@pytest.fixture(scope="module")
def measured() -> list[Traffic]:
    return measure("tiny", image_blocks=1, text_blocks=1)


def test_every_part_is_measured_in_every_encoding_and_less_is_less(measured: list[Traffic]) -> None:
    found = {(one.part, one.encoding): one for one in measured}
    assert set(found) == {(part, encoding) for part in PARTS for encoding in ENCODINGS}
    for part in PARTS:
        sizes = [found[part, encoding].both for encoding in ENCODINGS]
        assert sizes == sorted(sizes, reverse=True)
    whole = found[WHOLE, "fp32"]
    assert whole.parameters == max(one.parameters for one in found.values())
    assert 4 * whole.parameters < whole.up == whole.down


def test_shares_are_of_plain_averaging_over_the_whole_model(measured: list[Traffic]) -> None:
    assert [share(one, measured) for one in measured if (one.part, one.encoding) == (WHOLE, "fp32")] == [1.0]
    found_by = {"fp32": retrieval(0.5), "int8": retrieval(0.48)}
    held = bars(measured, found_by)
    assert [bar.measured for bar in held][-1] == 0.02
    assert not held[-1].holds
    assert 0 < held[0].measured < 1
    assert "tiny" in tables(measured, found_by)


def test_update_is_drawn_in_the_states_shapes() -> None:
    state = tiny_state()
    drawn = drawn_like(state)
    assert size_bytes(drawn) == size_bytes(state)
    assert all(np.any(array) and array.dtype == np.float32 for array in drawn.values())
