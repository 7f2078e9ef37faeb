from __future__ import annotations

import hashlib
import random
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security import envelope
from security.envelope import CHUNK, MAGIC, TAG, Digests, decrypt, encrypt
from security.errors import ArtifactRefused

KEY = bytes(range(32))
CONTEXT = b'["checkpoint","run-1","round-0001.safetensors"]'
SMALL = 64


@pytest.fixture(params=[SMALL, CHUNK])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Small chunks make many of them."""
    monkeypatch.setattr(envelope, "CHUNK", request.param)
    return int(request.param)


def sealed(data: bytes, *, key: bytes = KEY, context: bytes = CONTEXT) -> tuple[bytes, Digests]:
    return encrypt(data, key, context=context)


def opened(data: bytes, expected: Digests, *, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    return decrypt(data, key, context=context, expected=expected)


def as_they_are(data: bytes, plain: Digests) -> Digests:
    """What a forger who may write the hashes too would say: the cipher alone must refuse."""
    return replace(plain, sealed_size=len(data), sealed_sha256=hashlib.sha256(data).hexdigest())


def pieces(data: bytes) -> list[bytes]:
    body, size = data[len(MAGIC) :], envelope.CHUNK + TAG
    return [body[start : start + size] for start in range(0, len(body), size)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=700), st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_what_is_sealed_comes_back_and_shows_nothing(data: bytes, key: bytes, context: bytes) -> None:
    whole, digests = sealed(data, key=key, context=context)
    assert opened(whole, digests, key=key, context=context) == data
    assert (digests.size, digests.sealed_size) == (len(data), len(whole))
    assert len(data) < 8 or data not in whole[len(MAGIC) :]


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 3 * SMALL + 5, CHUNK, CHUNK + 1])
def test_every_length_comes_back(chunk: int, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert opened(*sealed(data)) == data


def test_every_flipped_bit_is_refused_by_the_cipher_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "CHUNK", SMALL)
    whole, digests = sealed(b"a model" * 30)
    for at in range(len(whole)):
        for bit in range(8):
            changed = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            with pytest.raises(ArtifactRefused):
                opened(changed, as_they_are(changed, digests))


def test_every_truncation_is_refused_by_the_cipher_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "CHUNK", SMALL)
    whole, digests = sealed(b"a model" * 30)
    for length in range(len(whole)):
        with pytest.raises(ArtifactRefused):
            opened(whole[:length], as_they_are(whole[:length], digests))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_chunks_in_another_order_are_refused(data: st.DataObject) -> None:
    before = envelope.CHUNK
    envelope.CHUNK = SMALL
    try:
        whole, digests = sealed(bytes(range(256)) + b"end")
        found = pieces(whole)
        chosen = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=len(found) + 2))
        other = MAGIC + b"".join(found[number] for number in chosen)
        if other == whole:
            return
        with pytest.raises(ArtifactRefused):
            opened(other, as_they_are(other, digests))
    finally:
        envelope.CHUNK = before


def test_chunks_of_another_object_are_refused(chunk: int) -> None:
    """Even under one key, which no two objects have."""
    whole, digests = sealed(b"a" * (2 * chunk))
    other, _ = sealed(b"a" * (2 * chunk), context=CONTEXT.replace(b"0001", b"0002"))
    mixed = MAGIC + pieces(whole)[0] + pieces(other)[1]
    with pytest.raises(ArtifactRefused):
        opened(mixed, as_they_are(mixed, digests))


@pytest.mark.parametrize("other", [b'["checkpoint","run-1","round-0002.safetensors"]', b'["model","run-1","x"]', b""])
def test_object_in_another_place_is_refused(other: bytes) -> None:
    with pytest.raises(ArtifactRefused):
        opened(*sealed(b"a model"), context=other)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ArtifactRefused):
        opened(*sealed(b"a model"), key=bytes(32))


def test_whole_object_that_is_not_the_one_of_the_manifest_is_refused() -> None:
    whole, _ = sealed(b"an older model")
    _, digests = sealed(b"a newer model!")
    with pytest.raises(ArtifactRefused, match="another object"):
        opened(whole, digests)


def test_memory_is_that_of_the_result_and_some_chunks() -> None:
    data = bytes(64 * CHUNK)
    tracemalloc.start()
    whole, digests = encrypt(data, KEY, context=CONTEXT)
    _, sealing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    assert decrypt(whole, KEY, context=CONTEXT, expected=digests) == data
    _, opening = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What is written grows by an eighth at a time.
    assert sealing < len(whole) * 9 / 8 + 8 * CHUNK
    assert opening < len(whole) + len(data) * 9 / 8 + 8 * CHUNK


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"a model" * 20,
            Digests(
                140,
                "4ac2caeabeefad53650e6d6ddd652e54f4056a9683e3f18e6d16182d65dc8ef2",
                204,
                "3d2bf7458740534adb6ecce0edf8c29c1f48f22d3f3bbb18537a1737448fcbf8",
            ),
        ),
        (
            b"",
            Digests(
                0,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                32,
                "c4fb773e97be6f507cd23becb389b40b83e3b6d12804ae6e4467cc5ad199ce23",
            ),
        ),
    ],
)
def test_bytes_are_those_of_earlier_releases(monkeypatch: pytest.MonkeyPatch, data: bytes, expected: Digests) -> None:
    """What lies in stores must open."""
    monkeypatch.setattr(envelope, "CHUNK", SMALL)
    whole, digests = sealed(data)
    assert digests == expected
    assert opened(whole, expected) == data
