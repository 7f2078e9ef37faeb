"""Labels at the lines, and sizes as people say them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.plots.style import bytes_text, spread

labels = st.lists(st.tuples(st.floats(-0.2, 1.2), st.floats(0.01, 0.08)), min_size=1, max_size=12)


@given(labels)
def test_labels_never_overlap_and_stay_inside(wanted: list[tuple[float, float]]) -> None:
    centres, heights = spread([y for y, _ in wanted], [height for _, height in wanted]), [h for _, h in wanted]
    placed = sorted(zip(centres, heights, strict=True))
    for (low, a), (high, b) in itertools.pairwise(placed):
        assert high - low >= (a + b) / 2 - 1e-9
    assert placed[0][0] - placed[0][1] / 2 >= -1e-9
    assert placed[-1][0] + placed[-1][1] / 2 <= 1 + 1e-9


@given(labels)
def test_labels_keep_the_order_of_their_lines(wanted: list[tuple[float, float]]) -> None:
    centres = spread([y for y, _ in wanted], [height for _, height in wanted])
    for (y, a), (z, b) in itertools.combinations(zip([y for y, _ in wanted], centres, strict=True), 2):
        assert y == z or (y < z) == (a < b)


def test_labels_with_room_stay_where_their_lines_end() -> None:
    assert spread([0.8, 0.2, 0.5], [0.1, 0.1, 0.1]) == pytest.approx([0.8, 0.2, 0.5])


def test_two_labels_of_one_line_share_the_way() -> None:
    assert spread([0.5, 0.5], [0.1, 0.1]) == pytest.approx([0.45, 0.55])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.2 kB"),
        (633_600_000, "634 MB"),
        (6.3e10, "63 GB"),
        (2e16, "20000 TB"),
    ],
)
def test_sizes_are_said_in_decimal_units(size: float, text: str) -> None:
    assert bytes_text(size) == text
