"""Authenticated encryption of one object of any size, in chunks: AES-256-GCM under a key that is used for it alone.

    magic | chunk 0 | chunk 1 | …        a chunk: up to 1 MiB of ciphertext and its tag of 16 bytes

The nonce is the chunk's number: the key is new for each object, so no two chunks share both. What each chunk is
authenticated with says whose object it is (the caller's context), the chunk's number and whether it is the last one, so
that an object that was cut short, lengthened, put together anew or put in another's place is refused.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

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


def encrypt(data: bytes, key: bytes, *, context: bytes) -> tuple[bytes, Digests]:
    """Encrypt an object. Memory: the sealed object, and two chunks.

    Args:
        data: plaintext.
        key: 32 random bytes that encrypt nothing else, ever.
        context: whose object it is; needed again to decrypt.

    Returns:
        The sealed object, and what both are.
    """
    cipher, sink = AESGCM(key), io.BytesIO()
    sink.write(MAGIC)
    for number, chunk, is_last in _chunks(memoryview(data), CHUNK):
        sink.write(cipher.encrypt(_nonce(number), chunk, _bound(context, number, is_last=is_last)))
    sealed = sink.getvalue()
    return sealed, _digests(data, sealed)


def decrypt(sealed: bytes, key: bytes, *, context: bytes, expected: Digests) -> bytes:
    """Decrypt what `encrypt` made. Memory: the plaintext, and two chunks.

    Raises:
        ArtifactRefused: it is not what was encrypted, or not what is expected here.
    """
    cipher, sink = AESGCM(key), io.BytesIO()
    if not sealed.startswith(MAGIC):
        raise _refused("it does not begin as a sealed object does")
    for number, chunk, is_last in _chunks(memoryview(sealed)[len(MAGIC) :], CHUNK + TAG):
        try:
            sink.write(cipher.decrypt(_nonce(number), chunk, _bound(context, number, is_last=is_last)))
        except (InvalidTag, ValueError):
            raise _refused(f"its chunk {number} is not what was sealed here") from None
    data = sink.getvalue()
    if _digests(data, sealed) != expected:
        raise _refused("it is another object than the manifest says")
    return data


def _digests(plain: bytes, sealed: bytes) -> Digests:
    return Digests(len(plain), hashlib.sha256(plain).hexdigest(), len(sealed), hashlib.sha256(sealed).hexdigest())


def _chunks(data: memoryview, size: int) -> Iterator[tuple[int, memoryview, bool]]:
    """Chunks with their numbers, and whether each is the last; nothing has one empty chunk."""
    for number, start in enumerate(range(0, max(len(data), 1), size)):
        yield number, data[start : start + size], start + size >= len(data)


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _bound(context: bytes, number: int, *, is_last: bool) -> bytes:
    return MAGIC + len(context).to_bytes(8, "big") + context + number.to_bytes(8, "big") + bytes([is_last])


def _refused(why: str) -> ArtifactRefused:
    return ArtifactRefused(f"A sealed object is refused: {why}.")
