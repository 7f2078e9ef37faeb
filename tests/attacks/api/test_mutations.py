"""A good token with anything changed is no token: a hundred thousand of them, and some thousands over HTTP.

The whole suite tries some; `make attacks` tries them all.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from security.errors import Unauthenticated
from security.tokens import AccessTokens
from tests.attacks.api.target import Target

pytestmark = [pytest.mark.attack, pytest.mark.integration]

BASE64URL = string.ascii_letters + string.digits + "-_"
ANYTHING = BASE64URL + "+/=. \t\"'{}[]%\\"
SEED = 20261128

Change = Callable[[random.Random, str, str], str]


def _bit(rng: random.Random, token: str, _: str) -> str:
    """One bit of one character."""
    place = rng.randrange(len(token))
    return token[:place] + chr(ord(token[place]) ^ (1 << rng.randrange(7))) + token[place + 1 :]


def _character(rng: random.Random, token: str, _: str) -> str:
    place = rng.randrange(len(token))
    return token[:place] + rng.choice(BASE64URL) + token[place + 1 :]


def _last(rng: random.Random, token: str, _: str) -> str:
    """The end of a segment, where base64 has bits that mean nothing."""
    ends = [place - 1 for place, character in enumerate(token) if character == "."] + [len(token) - 1]
    place = rng.choice(ends)
    return token[:place] + rng.choice(BASE64URL) + token[place + 1 :]


def _cut(rng: random.Random, token: str, _: str) -> str:
    first = rng.randrange(len(token))
    return token[:first] + token[first + rng.randint(1, 40) :]


def _short(rng: random.Random, token: str, _: str) -> str:
    return token[: rng.randrange(len(token))]


def _long(rng: random.Random, token: str, _: str) -> str:
    place = rng.randrange(len(token) + 1)
    return token[:place] + "".join(rng.choices(ANYTHING, k=rng.randint(1, 8))) + token[place:]


def _swapped(rng: random.Random, token: str, other: str) -> str:
    """A segment of another good token."""
    segments, others = token.split("."), other.split(".")
    place = rng.randrange(3)
    segments[place] = others[place]
    return ".".join(segments)


def _turned(rng: random.Random, token: str, _: str) -> str:
    segments = token.split(".")
    rng.shuffle(segments)
    return ".".join(segments)


def _spliced(rng: random.Random, token: str, other: str) -> str:
    place = rng.randrange(len(token))
    return token[:place] + other[place:]


def _doubled(rng: random.Random, token: str, _: str) -> str:
    first = rng.randrange(len(token))
    piece = token[first : first + rng.randint(1, 60)]
    return token[:first] + piece + token[first:]


def _cased(rng: random.Random, token: str, _: str) -> str:
    first = rng.randrange(len(token))
    return token[:first] + token[first : first + 4].swapcase() + token[first + 4 :]


CHANGES: tuple[Change, ...] = (
    _bit, _bit, _character, _last, _cut, _short, _long, _swapped, _turned, _spliced, _doubled, _cased,
)  # fmt: skip


def mutated(tokens: AccessTokens, number: int, seed: int) -> list[tuple[str, str]]:
    """(name of the change, token): so many, none of which was issued."""
    rng = random.Random(seed)
    rights = [(["reader"], None), (["admin"], None), (["curator"], "aurora"), (["operator", "reader"], None)]
    good = [tokens.issue(f"user {n}", *rights[n % 4][:1], client=rights[n % 4][1]) for n in range(32)]
    known, found = set(good), list[tuple[str, str]]()
    while len(found) < number:
        token, other = rng.sample(good, 2)
        change = rng.choice(CHANGES)
        made = change(rng, token, other)
        if rng.random() < 0.2:
            second = rng.choice(CHANGES)
            made = second(rng, made, other) if made.count(".") == 2 and len(made) > 3 else made
        if made not in known:
            found.append((change.__name__.strip("_"), made))
    return found


def accepted(tokens: AccessTokens, made: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that pass; anything but a refusal in the one way ends the test."""
    passed = []
    for change, token in made:
        try:
            tokens.verify(token)
        except Unauthenticated:
            continue
        passed.append((change, token))
    return passed


@pytest.mark.parametrize("number", [20_000, pytest.param(100_000, marks=pytest.mark.long_attack)])
def test_no_mutated_token_is_accepted(target: Target, number: int) -> None:
    made = mutated(target.tokens, number, SEED + number)
    print(Counter(change for change, _ in made))
    assert len(made) == number
    assert accepted(target.tokens, made) == []


THREADS = 4


def _statuses(url: str, made: list[str]) -> Counter[int]:
    with httpx.Client(base_url=url, timeout=60) as http:
        seen = Counter[int]()
        for token in made:
            raw = b"Bearer " + token.encode("latin-1")
            seen[http.get("/v1/files?first=1", headers=[(b"Authorization", raw.strip(b" \t"))]).status_code] += 1
        return seen


@pytest.mark.parametrize("number", [500, pytest.param(5_000, marks=pytest.mark.long_attack)])
def test_no_mutated_token_is_accepted_over_http(target: Target, number: int) -> None:
    made = [token for _, token in mutated(target.tokens, number, SEED)]
    # Others a header cannot hold, or would shed at its ends.
    sent = [token for token in made if token.isprintable() and token == token.strip()]
    assert len(sent) > 0.8 * number
    with ThreadPoolExecutor(THREADS) as pool:
        counted = sum(pool.map(lambda n: _statuses(target.url, sent[n::THREADS]), range(THREADS)), Counter[int]())
    assert counted == {401: len(sent)}
