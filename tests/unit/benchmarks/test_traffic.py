from __future__ import annotations

import numpy as np

from benchmarks.traffic import PARTS, WHOLE, drawn_like, measure
from federation.config import ENCODINGS
from federation.tensors import size_bytes
from tests.models import tiny_state


def test_every_part_is_measured_in_every_encoding_and_less_is_less() -> None:
    found = {(one.part, one.encoding): one for one in measure("tiny", image_blocks=1, text_blocks=1)}
    assert set(found) == {(part, encoding) for part in PARTS for encoding in ENCODINGS}
    for part in PARTS:
        sizes = [found[part, encoding].both for encoding in ENCODINGS]
        assert sizes == sorted(sizes, reverse=True)
    whole = found[WHOLE, "fp32"]
    assert whole.parameters == max(one.parameters for one in found.values())
    assert 4 * whole.parameters < whole.up == whole.down


def test_update_is_drawn_in_the_states_shapes() -> None:
    state = tiny_state()
    drawn = drawn_like(state)
    assert size_bytes(drawn) == size_bytes(state)
    assert all(np.any(array) and array.dtype == np.float32 for array in drawn.values())
