"""Secret sharing (Shamir 1979) over the prime field of 2^521 − 1: enough shares give the secret, fewer nothing.

All shares are equally long, whatever the secret. Python's integers are no defence against who can time this process.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from federation.errors import UnmaskingFailed

PRIME = 2**521 - 1
SHARE_BYTES = 66
SECRET_BYTES = 32


def split(secret: bytes, *, threshold: int, shares: int) -> list[bytes]:
    """Shares of a secret; the one at position ``i`` is the value at ``i + 1``.

    Args:
        secret: 32 bytes.
        threshold: how many shares give it back, 1 to ``shares``.
        shares: how many are made.
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= shares:
        raise ValueError(f"{len(secret)} bytes in {shares} shares, of which {threshold} shall be enough")
    coefficients = [int.from_bytes(secret), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return [_value(coefficients, point).to_bytes(SHARE_BYTES) for point in range(1, shares + 1)]


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret, of ``threshold`` shares or more: point → share. Of fewer, or of wrong ones, comes something else.

    Raises:
        UnmaskingFailed: what comes is no secret, or a share is none.
    """
    secret = _at(0, shares)
    if secret.bit_length() > 8 * SECRET_BYTES:
        raise UnmaskingFailed("The shares do not belong together.")
    return secret.to_bytes(SECRET_BYTES)


def share_at(point: int, shares: Mapping[int, bytes]) -> bytes:
    """The share that belongs to a point, by ``threshold`` others: whoever has another one has garbage.

    Raises:
        UnmaskingFailed: a share is none.
    """
    return _at(point, shares).to_bytes(SHARE_BYTES)


def _at(place: int, shares: Mapping[int, bytes]) -> int:
    """The polynomial of these shares at a place."""
    points = list(shares)
    if not points or any(point < 1 for point in points):
        raise UnmaskingFailed("A secret cannot be put together from no shares, or from one of no participant.")
    if any(len(share) != SHARE_BYTES or int.from_bytes(share) >= PRIME for share in shares.values()):
        raise UnmaskingFailed("A share is no element of the field.")
    return sum(int.from_bytes(shares[point]) * _weight(point, points, place) for point in points) % PRIME


def _value(coefficients: list[int], point: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * point + coefficient) % PRIME
    return value


def _weight(point: int, points: list[int], place: int) -> int:
    """Lagrange's coefficient of a point, at a place."""
    above = below = 1
    for other in points:
        if other != point:
            above = above * (other - place) % PRIME
            below = below * (other - point) % PRIME
    return above * pow(below, -1, PRIME)
