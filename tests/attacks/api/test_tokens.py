"""Every known forgery of an access token, sent to a running API: one answer to all, and never an error of ours."""

from __future__ import annotations

import statistics
from pathlib import Path

import httpx
import pytest

from security.errors import Unauthenticated
from security.signing_keys import SigningKeys
from security.tokens import AccessTokens
from tests.attacks.api.forging import Forger, mirrored
from tests.attacks.api.target import Target
from tests.attacks.api.token_attacks import ATTACKS

pytestmark = [pytest.mark.attack, pytest.mark.integration]

QUESTION = {"query": "{ allFiles(limit: 1) { id } }"}
REFUSAL = Unauthenticated().as_dict()


@pytest.fixture
def forger(target: Target) -> Forger:
    return Forger(target.keys)


def asked(http: httpx.Client, token: str | bytes) -> httpx.Response:
    """One question that bears ``token``, byte for byte."""
    raw = token if isinstance(token, bytes) else token.encode("latin-1")
    return http.post("/graphql", json=QUESTION, headers=[(b"Authorization", (b"Bearer " + raw).strip(b" "))])


def is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json(), answer.headers["WWW-Authenticate"]) == (401, REFUSAL, "Bearer")


def test_there_are_enough_of_them_and_no_two_alike(forger: Forger) -> None:
    tokens = {attack(forger) for attack in ATTACKS.values()}
    assert len(tokens) >= 150
    assert len(tokens) == len(ATTACKS)


def test_the_forgers_own_token_passes_where_nothing_is_wrong_with_it(http: httpx.Client, forger: Forger) -> None:
    # The oracle for all below: only what each of them changes is wrong with its token.
    answer = asked(http, forger.signed())
    assert (answer.status_code, "errors" in answer.json()) == (200, False)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forged_token_is_refused_in_the_same_words(anonymous: httpx.Client, forger: Forger, name: str) -> None:
    assert is_refused(asked(anonymous, ATTACKS[name](forger)))


def test_a_token_of_a_key_of_ones_own_is_refused(anonymous: httpx.Client, tmp_path: Path) -> None:
    own = SigningKeys.open(tmp_path)
    assert is_refused(asked(anonymous, AccessTokens(own).issue("mallory", ["admin"])))


def test_every_path_that_takes_a_token_refuses_one_that_is_forged(anonymous: httpx.Client, forger: Forger) -> None:
    headers = {"Authorization": f"Bearer {ATTACKS['HS256 with the public pem as its secret'](forger)}"}
    for method, path in (
        ("GET", "/v1/search?text=red"),
        ("GET", "/v1/files"),
        ("GET", "/v1/facets"),
        ("GET", "/v1/files/1/similar"),
        ("POST", "/v1/search/image"),
        ("GET", "/files/1/image"),
        ("POST", "/graphql"),
    ):
        answer = anonymous.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()) == (401, REFUSAL), path


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Token", "JWT", "Bearer:", ""])
def test_another_scheme_is_no_token(anonymous: httpx.Client, forger: Forger, scheme: str) -> None:
    answer = anonymous.post("/graphql", json=QUESTION, headers={"Authorization": f"{scheme} {forger.signed()}".strip()})
    assert is_refused(answer)


def test_a_token_counts_in_its_header_alone(anonymous: httpx.Client, forger: Forger) -> None:
    token = forger.signed()
    for answer in (
        anonymous.post("/graphql", json=QUESTION, params={"access_token": token}),
        anonymous.post("/graphql", json={**QUESTION, "extensions": {"authorization": f"Bearer {token}"}}),
        anonymous.post("/graphql", json=QUESTION, headers={"Cookie": f"access_token={token}; Authorization={token}"}),
        anonymous.post("/graphql", json=QUESTION, headers={"X-Access-Token": token, "Proxy-Authorization": token}),
        anonymous.post("/graphql", json=QUESTION, headers={"X-Forwarded-Authorization": f"Bearer {token}"}),
    ):
        assert is_refused(answer)


def test_the_mirror_of_a_good_signature_is_the_same_token(http: httpx.Client, target: Target, forger: Forger) -> None:
    """Noted, not refused: whoever makes (r, n - s) of (r, s) has a good token already, and it has the same ``jti``."""
    token = forger.signed()
    assert target.tokens.verify(mirrored(token)) == target.tokens.verify(token)
    assert asked(http, mirrored(token)).status_code == 200


KINDS = {
    "no token at all": "nothing",
    "no form of a token": "letters",
    "another algorithm": "HS256 with the public pem as its secret",
    "no such key": "kid of nobody",
    "a deep header": "header nested deep",
    "a wrong signature": "signature of another token",
    "a signature of zeros": "signature of zeros",
    "a wrong claim": "aud of another",
    "past": "exp past",
}
ROUNDS = 10
TIMES = 30


def test_how_long_a_refusal_takes_tells_little(target: Target, anonymous: httpx.Client, forger: Forger) -> None:
    """No kind of refusal costs the API more than twice the median of all kinds.

    What is measured is the processor time of the API's process over 300 requests of a kind, not the time until an
    answer comes: that depends on what else the machine does. The kinds take turns, so that all of them meet the same
    machine. A request as a whole takes half a millisecond, the check of a signature a tenth: so who times the answers
    learns little of how far a token got, and no token is a weapon.
    """
    spent = dict.fromkeys(KINDS, 0.0)
    for _ in range(ROUNDS):
        for kind, name in KINDS.items():
            token, before = ATTACKS[name](forger), target.cpu_s()
            for _ in range(TIMES):
                asked(anonymous, token)
            spent[kind] += target.cpu_s() - before
    median = statistics.median(spent.values())
    print({kind: f"{seconds / ROUNDS / TIMES * 1000:.2f} ms" for kind, seconds in spent.items()})
    assert {kind: seconds / median for kind, seconds in spent.items() if seconds > 2 * median} == {}
