"""Sessions at a real API: stolen tokens, processes that die, a cache that is away, and keys that change meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from jose import jwt

from catalog.store import CatalogueStore
from security.key_rotation import KeyRotation
from security.passwords import hash_password
from tests.integration.api.stacks import PASSWORD, Loaded

pytestmark = pytest.mark.integration

QUERY = {"query": "{ allFiles(limit: 1) { id } }"}
BACK_WITHIN_S = 60.0


@pytest.fixture
def api(loaded: Loaded) -> Iterator[httpx.Client]:
    """Somebody with no token yet."""
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    with httpx.Client(base_url=loaded.settings.required("api_url"), timeout=60, limits=limits) as client:
        yield client


def log_in(api: httpx.Client, name: str = "ana") -> Any:
    return api.post("/auth/token", data={"username": name, "password": PASSWORD}).raise_for_status().json()


def renew(api: httpx.Client, token: str) -> httpx.Response:
    return api.post("/auth/refresh", data={"refresh_token": token})


def opens(api: httpx.Client, access_token: str) -> int:
    return api.post("/graphql", json=QUERY, headers={"Authorization": f"Bearer {access_token}"}).status_code


def until_alive(api: httpx.Client) -> None:
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            if api.get("/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def killed_and_restarted(loaded: Loaded, slug: str) -> None:
    os.kill(loaded.stack.pids[slug], signal.SIGKILL)
    deadline = time.monotonic() + BACK_WITHIN_S
    while slug not in loaded.stack.ended():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    loaded.stack.restart(slug)


def tejido(loaded: Loaded, *arguments: object) -> Any:
    """What a command of the platform answers."""
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(loaded.stack.platform_env)}
    command = [str(Path(sys.executable).parent / "tejido"), *map(str, arguments), "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_fifty_refreshes_of_one_token_end_its_family_within_a_second(api: httpx.Client) -> None:
    first = log_in(api)
    start = threading.Barrier(50)

    def attack(_: int) -> httpx.Response:
        start.wait()
        return renew(api, first["refresh_token"])

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(attack, range(50)))
    ended = time.monotonic()
    assert Counter(answer.status_code for answer in answers)[200] <= 1
    assert {answer.status_code for answer in answers} <= {200, 401, 429}
    pairs = [first, *(answer.json() for answer in answers if answer.is_success)]
    while {opens(api, pair["access_token"]) for pair in pairs} != {401}:
        assert time.monotonic() - ended < 1
    assert [renew(api, pair["refresh_token"]).status_code for pair in pairs[1:]] == [401] * len(pairs[1:])
    assert opens(api, log_in(api)["access_token"]) == 200


def test_a_process_that_starts_anew_lets_nobody_back_in(loaded: Loaded, api: httpx.Client) -> None:
    living, over = log_in(api), log_in(api)
    assert api.post("/auth/logout", data={"refresh_token": over["refresh_token"]}).status_code == 204
    assert opens(api, over["access_token"]) == 401
    killed_and_restarted(loaded, "api")
    until_alive(api)
    assert opens(api, over["access_token"]) == 401
    assert renew(api, over["refresh_token"]).status_code == 401
    assert opens(api, living["access_token"]) == 200
    assert renew(api, living["refresh_token"]).status_code == 200


def test_the_loss_of_valkey_lets_nobody_back_in_and_ends_no_session(loaded: Loaded, api: httpx.Client) -> None:
    living, over = log_in(api), log_in(api)
    api.post("/auth/logout", data={"refresh_token": over["refresh_token"]})
    os.kill(loaded.stack.pids["valkey"], signal.SIGKILL)
    while "valkey" not in loaded.stack.ended():
        time.sleep(0.05)
    try:
        assert opens(api, over["access_token"]) == 401
        assert renew(api, over["refresh_token"]).status_code == 401
        answer = renew(api, living["refresh_token"])
        assert answer.status_code == 200
        assert opens(api, answer.json()["access_token"]) == 200
    finally:
        loaded.stack.restart("valkey")
    assert opens(api, over["access_token"]) == 401


def test_another_role_takes_effect_at_the_next_renewal(loaded: Loaded, api: httpx.Client) -> None:
    with CatalogueStore(loaded.settings.required("postgres_dsn")) as users:
        users.put_user("rosa", hash_password(PASSWORD), ["reader"])
        pair = log_in(api, "rosa")
        users.put_user("rosa", hash_password(PASSWORD), ["operator"])
    claims = jwt.get_unverified_claims(renew(api, pair["refresh_token"]).json()["access_token"])
    assert claims["roles"] == ["operator"]
    assert claims["sid"] == jwt.get_unverified_claims(pair["access_token"])["sid"]


def test_a_new_password_ends_the_sessions_of_before_within_a_second(
    loaded: Loaded, api: httpx.Client, tmp_path: Path
) -> None:
    with CatalogueStore(loaded.settings.required("postgres_dsn")) as users:
        users.put_user("vera", hash_password(PASSWORD), ["reader"])
    pair, other = log_in(api, "vera"), log_in(api)
    (tmp_path / "password").write_text("another password for tests")
    tejido(loaded, "user", "add", "vera", "--role", "reader", "--replace", "--password-file", tmp_path / "password")
    done = time.monotonic()
    while opens(api, pair["access_token"]) != 401:
        assert time.monotonic() - done < 1
    assert renew(api, pair["refresh_token"]).json()["code"] == "security.session_ended"
    assert opens(api, other["access_token"]) == 200


def test_a_stolen_key_is_worth_nothing_within_a_second_and_sessions_go_on(loaded: Loaded, api: httpx.Client) -> None:
    pair = log_in(api)
    steps = tejido(loaded, "keys", "rotate", "--now")["steps"]
    done = time.monotonic()
    assert [step["action"] for step in steps] == ["published", "activated", "retired"]
    while opens(api, pair["access_token"]) != 401:
        assert time.monotonic() - done < 1.5
    fresh = renew(api, pair["refresh_token"]).json()
    assert jwt.get_unverified_header(fresh["access_token"])["kid"] == steps[0]["kid"]
    assert opens(api, fresh["access_token"]) == 200
    assert [key["state"] for key in tejido(loaded, "keys", "list")["keys"]] == ["signs"]


def test_an_operator_ends_sessions_and_lets_programs_in_and_the_log_tells_of_all(
    loaded: Loaded, api: httpx.Client, tmp_path: Path
) -> None:
    pair, secret = log_in(api), tmp_path / "secret"
    assert "ana" in {one["username"] for one in tejido(loaded, "session", "list")["sessions"]}
    assert tejido(loaded, "session", "end", "--user", "ana")["ended"] >= 1
    ended = time.monotonic()
    while opens(api, pair["access_token"]) != 401:
        assert time.monotonic() - ended < 1.5
    tejido(loaded, "machine", "add", "nightly", "--role", "reader", "--secret-file", secret)
    assert secret.stat().st_mode & 0o777 == 0o600
    form = {"client_id": "nightly", "client_secret": secret.read_text()}
    assert opens(api, api.post("/auth/machine", data=form).json()["access_token"]) == 200
    assert tejido(loaded, "machine", "list")["machines"][0]["last_used_at"] is not None
    tejido(loaded, "machine", "remove", "nightly")
    assert api.post("/auth/machine", data=form).status_code == 401
    assert api.post("/auth/token", data={"username": "ana", "password": "wrong"}).status_code == 401
    entries = tejido(loaded, "audit", "show", "--limit", 6)["entries"]
    assert [entry["kind"] for entry in entries] == [
        "login_refused", "login_refused", "machine_removed", "machine_login", "machine_added", "session_revoked",
    ]  # fmt: skip
    assert entries[3]["details"] == {"address": "127.0.0.1"}
    looked = tejido(loaded, "audit", "verify")
    assert looked["entries"] == entries[0]["seq"]
    assert tejido(loaded, "audit", "verify", "--head", looked["head"]) == looked


def test_keys_rotate_while_requests_go_on_and_none_fails(loaded: Loaded, api: httpx.Client) -> None:
    rotation = KeyRotation(Path(loaded.settings.required("signing_key_dir")), activate_after_s=2, retire_after_s=4)
    before, over = log_in(api), threading.Event()
    statuses: Counter[int] = Counter()
    kids: set[str] = set()

    def ask() -> None:
        while not over.is_set():
            statuses[opens(api, before["access_token"])] += 1

    def keep_renewing() -> None:
        pair = log_in(api)
        while not over.is_set():
            answer = renew(api, pair["refresh_token"])
            statuses[answer.status_code] += 1
            pair = answer.json()
            statuses[opens(api, pair["access_token"])] += 1
            kids.add(jwt.get_unverified_header(pair["access_token"])["kid"])
            time.sleep(0.3)

    with ThreadPoolExecutor(4) as pool:
        try:
            running = [pool.submit(ask), pool.submit(ask), pool.submit(keep_renewing)]
            published = rotation.advance().kid
            time.sleep(2.1)
            assert published in {key["kid"] for key in api.get("/.well-known/jwks.json").json()["keys"]}
            assert rotation.advance().action == "activated"
            time.sleep(3)
        finally:
            over.set()
        for thread in running:
            thread.result()
    time.sleep(1.1)
    retired = rotation.advance()
    assert retired.action == "retired"
    assert set(statuses) == {200}
    assert statuses[200] > 50
    assert kids == {retired.kid, published}
    time.sleep(1.1)
    assert opens(api, before["access_token"]) == 401
    answer = renew(api, before["refresh_token"])
    assert answer.status_code == 200
    assert opens(api, answer.json()["access_token"]) == 200
