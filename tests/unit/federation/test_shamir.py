"""A secret in shares: enough of them give it back, fewer nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors import UnmaskingFailed
from federation.masking.shamir import PRIME, SHARE_BYTES, combine, share_at, split


@settings(max_examples=60, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), data=st.data())
def test_any_threshold_shares_give_the_secret_and_one_fewer_do_not(secret: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    threshold = data.draw(st.integers(2, count))
    shares = dict(enumerate(split(secret, threshold=threshold, shares=count), start=1))
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    points = data.draw(st.permutations(list(shares)))[:threshold]
    assert combine({point: shares[point] for point in points}) == secret
    assert combine(shares) == secret
    fewer = {point: shares[point] for point in points[1:]}
    # Out of 2^521 values that nearly all are no secret of 256 bits.
    with pytest.raises(UnmaskingFailed):
        combine(fewer)


def test_shares_are_those_of_the_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 7 + 3 x + 2 x² at 1, 2, 3."""
    coefficients = iter([3, 2])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(coefficients))
    shares = split((7).to_bytes(32), threshold=3, shares=3)
    assert [int.from_bytes(share) for share in shares] == [12, 21, 34]
    assert int.from_bytes(combine(dict(enumerate(shares, start=1)))) == 7
    assert [int.from_bytes(share_at(point, dict(enumerate(shares, start=1)))) for point in (2, 4)] == [21, 51]


def test_the_field_is_one() -> None:
    """2^521 − 1 is prime by Lucas and Lehmer's test."""
    residue = 4
    for _ in range(521 - 2):
        residue = (residue * residue - 2) % PRIME
    assert residue == 0


def test_what_is_no_share_is_refused() -> None:
    for wrong in ({}, {0: bytes(SHARE_BYTES)}, {1: bytes(3)}, {1: b"\xff" * SHARE_BYTES}):
        with pytest.raises(UnmaskingFailed):
            combine(wrong)
    with pytest.raises(ValueError, match="bytes"):
        split(b"short", threshold=2, shares=3)
