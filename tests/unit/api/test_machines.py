"""Programs at the API: a name and a secret for a short token; and refused log-ins, which are written down."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient

from api.auth import MACHINE_LIFETIME_S
from api.limits import MAX_PER_USER
from catalog.machines import Admitted
from security.refresh_tokens import at_rest, new_refresh_token
from tests.unit.api.fakes import Parts

SECRET = new_refresh_token()
QUERY = {"query": "{ allFiles(limit: 1) { id } }"}


@pytest.fixture(autouse=True)
def nightly(parts: Parts) -> None:
    parts.machines.known["nightly"] = (at_rest(SECRET), Admitted("nightly", ["curator"], "aurora"))


def test_a_program_gets_a_short_token_of_its_role(anonymous: TestClient, parts: Parts) -> None:
    answer = anonymous.post("/auth/machine", data={"client_id": "nightly", "client_secret": SECRET})
    assert answer.status_code == 200
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", MACHINE_LIFETIME_S)
    assert answer.headers["cache-control"] == "no-store"
    identity = parts.tokens.verify(answer.json()["access_token"])
    assert (identity.subject, identity.roles, identity.client) == ("machine nightly", ("curator",), "aurora")
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert "data" in anonymous.post("/graphql", json=QUERY, headers=headers).json()


OTHERS = {
    "another secret": ("nightly", "A" * 43),
    "another name": ("other", SECRET),
    "a short secret": ("nightly", "a"),
    "a long secret": ("nightly", "x" * 5000),
    "a NUL": ("a\0b", SECRET),
    "a newline": ("nightly\n", SECRET),
}


@pytest.mark.parametrize("case", OTHERS)
def test_every_other_is_refused_alike(anonymous: TestClient, parts: Parts, case: str) -> None:
    name, secret = OTHERS[case]
    answer = anonymous.post("/auth/machine", data={"client_id": name, "client_secret": secret})
    assert (answer.status_code, answer.json()["code"]) == (401, "security.unauthenticated")
    assert parts.audit.entries == [("login_refused", "a machine", {"address": "testclient"})]


def test_a_form_that_lacks_one_is_a_bad_request(anonymous: TestClient) -> None:
    assert anonymous.post("/auth/machine", data={"client_id": "nightly"}).status_code == 400


def test_secrets_cannot_be_guessed_without_bound(anonymous: TestClient) -> None:
    form = {"client_id": "nightly", "client_secret": new_refresh_token()}
    codes = [anonymous.post("/auth/machine", data=form).status_code for _ in range(MAX_PER_USER + 2)]
    assert codes == [401] * MAX_PER_USER + [429] * 2


def test_a_refused_log_in_is_written_down_and_a_name_that_nobody_has_is_not(
    anonymous: TestClient, parts: Parts
) -> None:
    for name in ("ana", "my password by mistake"):
        assert anonymous.post("/auth/token", data={"username": name, "password": "wrong"}).status_code == 401
    assert [(kind, actor) for kind, actor, _ in parts.audit.entries] == [
        ("login_refused", "ana"),
        ("login_refused", "nobody"),
    ]


def test_a_token_of_a_removed_client_s_program_is_refused_within_a_second(anonymous: TestClient, parts: Parts) -> None:
    form = {"client_id": "nightly", "client_secret": SECRET}
    token = anonymous.post("/auth/machine", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    parts.families.removed_clients.add("boreal")
    time.sleep(0.1)
    assert anonymous.post("/graphql", json=QUERY, headers=headers).status_code == 200
    parts.families.removed_clients.add("aurora")
    removed = time.monotonic()
    while anonymous.post("/graphql", json=QUERY, headers=headers).status_code != 401:
        assert time.monotonic() - removed < 1
