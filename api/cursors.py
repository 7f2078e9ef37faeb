"""Cursors: a place in a search's results as opaque text, good for the same question and the same index only.

The question's vector is part of it. Encoded again, perhaps beside others or on another machine, it might differ in its
last bits, and the walk would skip or repeat; and the next page needs no encoding, nor the cache.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import numpy as np

from api.errors import ArgumentInvalid, IndexChanged
from api.ports import Vectors
from catalog.index import Hit, Place

DIGEST_BYTES = 12
MAX_CHARS = 8_192
MAX_SHOWN = 200
MAX_DIGITS = 18
HEAD = struct.Struct(f">i{DIGEST_BYTES}s?dqHH")
"""Index version, digest of the question, whether there is a last hit, its score and id; how many ids and dimensions."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one search."""

    version: int
    place: Place
    vector: Vectors
    """(D,) what is searched by, at half precision."""

    def encode(self, question: bytes) -> str:
        """As callers get it; ``question`` is the same for the same question only."""
        last = self.place.last or Hit(0, 0.0)
        shown = self.place.shown
        head = HEAD.pack(
            self.version, _digest(question), self.place.last is not None, last.score, last.product_id,
            len(shown), len(self.vector),
        )  # fmt: skip
        data = head + struct.pack(f">{len(shown)}q", *shown) + self.vector.astype(">f2").tobytes()
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, question: bytes, *, version: int) -> Cursor:
        """What `encode` made.

        Raises:
            ArgumentInvalid: it is no cursor, or one of another question.
            IndexChanged: the version that it belongs to is not searched any more.
        """
        cursor, digest = _read(text)
        if digest != _digest(question):
            raise ArgumentInvalid("after belongs to another search.", hint="Give it with the same query and filter.")
        if cursor.version != version:
            raise IndexChanged
        return cursor


def _digest(question: bytes) -> bytes:
    return hashlib.sha256(question).digest()[:DIGEST_BYTES]


def _read(text: str) -> tuple[Cursor, bytes]:
    try:
        data = urlsafe_b64decode(text[:MAX_CHARS].encode("ascii") + b"=" * (-len(text) % 4))
        version, digest, has_last, score, product_id, shown, dimension = HEAD.unpack_from(data)
        ids = struct.unpack_from(f">{shown}q", data, HEAD.size)
        vector = np.frombuffer(data, ">f2", count=dimension, offset=HEAD.size + 8 * shown).astype(np.float32)
    except (ValueError, struct.error):
        raise not_a_cursor() from None
    is_whole = len(data) == HEAD.size + 8 * shown + 2 * dimension and shown <= MAX_SHOWN
    # Written so that NaN, which compares false to everything, is no unit vector and no score either.
    if not (is_whole and abs(float(np.linalg.norm(vector)) - 1) < 1e-2 and abs(score) < 2 and abs(product_id) < 2**62):
        raise not_a_cursor()
    return Cursor(version, Place(Hit(product_id, score) if has_last else None, ids), vector), digest


def not_a_cursor() -> ArgumentInvalid:
    """The error of text that was never one."""
    return ArgumentInvalid("after is no cursor.", hint="Give the endCursor of the page before.")


def file_cursor(number: int) -> str:
    """A place in the catalogue: after the product of this id."""
    return urlsafe_b64encode(f"file:{number}".encode()).rstrip(b"=").decode()


def after_file(text: str) -> int:
    """The id in a cursor of `file_cursor`; ArgumentInvalid when it is none."""
    try:
        kind, _, number = urlsafe_b64decode(text[:60].encode("ascii") + b"=" * (-len(text) % 4)).decode().partition(":")
        if kind == "file" and number.isdecimal() and len(number) <= MAX_DIGITS:
            return int(number)
    except ValueError:
        pass
    raise not_a_cursor()
