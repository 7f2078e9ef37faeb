"""Authenticated encryption of one object of any size, in chunks: AES-256-GCM under a key that is used for it alone.

    magic | chunk 0 | chunk 1 | …        a chunk: up to 1 MiB of ciphertext and its tag of 16 bytes

The nonce is the chunk's number: the key is new for each object, so no two chunks share both. What each chunk is
authenticated with says whose object it is (the caller's context), the chunk's number and whether it is the last one, so
that an object that was cut short, lengthened, put together anew or put in another's place is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from security.errors import ArtifactRefused

MAGIC = b"tejido-sealed-1\n"
CHUNK = 1 << 20
TAG = 16
KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True)
class Digests:
    """What an object is before and after encryption: bytes, and hex SHA-256."""

    size: int
    sha256: str
    sealed_size: int
    sealed_sha256: str


def encrypt(source: BinaryIO, sink: BinaryIO, key: bytes, *, context: bytes) -> Digests:
    """Encrypt all of ``source`` into ``sink``. Memory: two chunks.

    Args:
        source: plaintext.
        sink: where the sealed bytes go.
        key: 32 random bytes that encrypt nothing else, ever.
        context: whose object it is; needed again to decrypt.
    """
    cipher, plain, sealed = AESGCM(key), _Digest(), _Digest()
    sealed.write(sink, MAGIC)
    for number, chunk, is_last in _chunks(source, CHUNK):
        plain.update(chunk)
        sealed.write(sink, cipher.encrypt(_nonce(number), chunk, _bound(context, number, is_last=is_last)))
    return Digests(plain.size, plain.hex, sealed.size, sealed.hex)


def decrypt(source: BinaryIO, sink: BinaryIO, key: bytes, *, context: bytes, expected: Digests) -> None:
    """Decrypt all of ``source`` into ``sink``. What is in the sink counts only once this has returned.

    Raises:
        ArtifactRefused: it is not what was encrypted, or not what is expected here.
    """
    cipher, plain, sealed = AESGCM(key), _Digest(), _Digest()
    if sealed.updated(source.read(len(MAGIC))) != MAGIC:
        raise _refused("it does not begin as a sealed object does")
    for number, chunk, is_last in _chunks(source, CHUNK + TAG):
        sealed.update(chunk)
        try:
            opened = cipher.decrypt(_nonce(number), chunk, _bound(context, number, is_last=is_last))
        except (InvalidTag, ValueError):
            raise _refused(f"its chunk {number} is not what was sealed here") from None
        plain.write(sink, opened)
    if Digests(plain.size, plain.hex, sealed.size, sealed.hex) != expected:
        raise _refused("it is another object than the manifest says")


class _Digest:
    """Counts and hashes what passes."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self._sha256.update(data)

    def updated(self, data: bytes) -> bytes:
        self.update(data)
        return data

    def write(self, sink: BinaryIO, data: bytes) -> None:
        sink.write(self.updated(data))

    @property
    def hex(self) -> str:
        return self._sha256.hexdigest()


def _chunks(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Chunks with their numbers, and whether each is the last; an empty source has one empty chunk."""
    number, chunk = 0, source.read(size)
    while True:
        following = source.read(size)
        yield number, chunk, not following
        if not following:
            return
        number, chunk = number + 1, following


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _bound(context: bytes, number: int, *, is_last: bool) -> bytes:
    return MAGIC + len(context).to_bytes(8, "big") + context + number.to_bytes(8, "big") + bytes([is_last])


def _refused(why: str) -> ArtifactRefused:
    return ArtifactRefused(f"A sealed object is refused: {why}.")
