"""Thousands of made-up questions about other clients' unpublished products: none is answered, and none tells of one.

The whole suite tries some; `make attacks` tries ten thousand. A failure names its seed.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.attacks.api.target import Target
from tests.attacks.api.tenants import KINDS, Asked, Hidden, page, reference
from tests.integration.api.stacks import ask

pytestmark = [pytest.mark.attack, pytest.mark.integration]

SEED = 20261128
CLIENTS = ("aurora", "boreal", "cobre")
EACH = 4
LINK = re.compile(r'"imageUrl":\s*"[^"]*"')
THREADS = 4
CREATE = """mutation ($p: [ProductInput!]!) { createProducts(products: $p) { state product { id origin } } }"""
OWN = """{ unpublishedProducts(first: 50) { reference imageSha256 product {
    id filename s3Path gender baseColour year productDisplayName createdAt } } }"""


@pytest.fixture(scope="module")
def hidden(target: Target) -> dict[str, list[Hidden]]:
    """What each client's curator has written and not published."""
    found = {}
    for client in CLIENTS:
        with bearing(target, "curator", client) as http:
            products = [Hidden(client, number) for number in range(EACH)]
            inputs = [{**product.input, "publish": False} for product in products]
            results = ask(http, CREATE, p=inputs)["createProducts"]
            assert {(result["state"], result["product"]["origin"]) for result in results} == {
                ("created", "unpublished")
            }
            numbers = [result["product"]["id"] for result in results]
            found[client] = [replace(one, id=number) for one, number in zip(products, numbers, strict=True)]
    return found


def bearing(target: Target, role: str, client: str | None = None) -> httpx.Client:
    """A client with a token, whose claim alone says for whom it writes."""
    token = target.tokens.issue(f"{role} of {client}", [role], client=client)
    return httpx.Client(base_url=target.url, timeout=60, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.long_attack)])
@pytest.mark.timeout(1200)
def test_no_question_is_answered_with_anothers_products(
    target: Target, hidden: dict[str, list[Hidden]], number: int
) -> None:
    before = views(target)
    assert {client: len(view) for client, view in before.items()} == dict.fromkeys(CLIENTS, EACH)
    seeds = range(SEED * 100_000 + number, SEED * 100_000 + 2 * number)
    with ThreadPoolExecutor(THREADS) as pool:
        # Side by side, so that the connections of the pool serve one client after another.
        parts = list(pool.map(lambda n: list(attacked(target, hidden, before, seeds[n::THREADS])), range(THREADS)))
    print(f"{number} questions: {Counter(kind for part in parts for kind, _ in part)}")
    assert [how for part in parts for _, how in part if how] == []
    assert views(target) == before


def test_the_same_reference_is_each_clients_own(target: Target, hidden: dict[str, list[Hidden]]) -> None:
    before = views(target)
    with bearing(target, "curator", "duna") as http:
        for publish in (False, True):
            inputs = [{**one.input, "publish": publish} for one in hidden["aurora"][:2]]
            for result in ask(http, CREATE, p=inputs)["createProducts"]:
                assert result["product"]["id"] not in [one.id for one in hidden["aurora"]]
        numbers = ask(http, '{ files(filter: {owner: ["duna"]}) { edges { node { id } } } }')["files"]["edges"]
        for edge in numbers:
            ask(http, "mutation ($id: Int!) { deleteProduct(id: $id) { id } }", id=edge["node"]["id"])
    assert views(target) == before


def views(target: Target) -> dict[str, Any]:
    """What each client sees of its own."""
    found = {}
    for client in CLIENTS:
        with bearing(target, "curator", client) as http:
            found[client] = ask(http, OWN)["unpublishedProducts"]
    return found


def attacked(
    target: Target, hidden: dict[str, list[Hidden]], before: dict[str, Any], seeds: range
) -> Iterator[tuple[str, str | None]]:
    """Kind of attack, and how it succeeded or None."""
    with ExitStack() as stack:
        curators = {c: stack.enter_context(bearing(target, "curator", c)) for c in (*CLIENTS, "duna")}
        others = {role: stack.enter_context(bearing(target, role)) for role in ("reader", "operator", "admin")}
        for seed in seeds:
            rng = random.Random(seed)
            victim = rng.choice(CLIENTS)
            if rng.random() < 0.1:
                # In between, each sees its own, and all of it.
                seen = ask(curators[victim], OWN)["unpublishedProducts"]
                yield "own", None if seen == before[victim] else f"seed {seed}: {victim} sees {seen}"
                continue
            people = {name: http for name, http in (curators | others).items() if name != victim}
            # Curators can ask for everything that readers can, and more.
            name = rng.choice([*people, *(c for c in curators if c != victim)])
            kind, product = rng.choice(KINDS), rng.choice(hidden[victim])
            attack = kind(rng, product)
            (status, answer), (twin_status, twin) = sent(people[name], attack.asked), sent(people[name], attack.twin)
            told = [secret for secret in product.secrets if secret in answer.replace(attack.sent[0] or "\0", "")]
            how = None
            if status >= 500 or told:
                how = f"told {told}, {status}: {answer[:300]}"
            elif (status, answer.replace(*attack.sent) if attack.sent[0] else answer) != (twin_status, twin):
                how = f"differs from its twin: {status} {answer[:300]} | {twin_status} {twin[:300]}"
            yield kind.__name__, f"seed {seed}: {kind.__name__} by {name} against {product}: {how}" if how else None


def sent(http: httpx.Client, asked: Asked) -> tuple[int, str]:
    """Status and text of an answer."""
    if asked.path:
        answer = http.get(asked.path)
    else:
        answer = http.post("/graphql", json={"query": asked.query, "variables": asked.variables})
    # Signed anew each minute.
    return answer.status_code, LINK.sub('"imageUrl":"signed"', answer.text)


def test_its_own_curator_is_answered_where_others_are_not(target: Target, hidden: dict[str, list[Hidden]]) -> None:
    with bearing(target, "curator", "aurora") as http:
        for kind in (reference, page):
            attack = kind(random.Random(SEED), hidden["aurora"][0])
            (_, answer), (_, twin) = sent(http, attack.asked), sent(http, attack.twin)
            assert hidden["aurora"][0].word in answer
            assert answer != twin
