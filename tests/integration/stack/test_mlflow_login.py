"""MLflow's log-in: who is let in, what a second user may do, and that the password is always the file's."""

from __future__ import annotations

import secrets
from pathlib import Path

import httpx
import pytest

from embedded.stack import Stack
from server.errors import TrackingUnreachable
from server.tracking import Login, Tracker

pytestmark = pytest.mark.integration
CLOSED = [
    *(("GET", path) for path in ("/", "/version", "/signup", "/metrics", "/api/2.0/mlflow/users/list")),
    ("GET", "/api/2.0/mlflow/experiments/search?max_results=1"),
    ("POST", "/api/2.0/mlflow/experiments/create"),
    ("GET", "/ajax-api/2.0/mlflow/experiments/search?max_results=1"),
    ("GET", "/api/2.0/mlflow/registered-models/search"),
    ("POST", "/api/2.0/mlflow/users/create"),
    ("POST", "/graphql"),
    ("GET", "/get-artifact?path=model/manifest.json&run_uuid=0"),
    ("GET", "/model-versions/get-artifact?path=model&name=fashion-clip&version=1"),
    *((method, "/api/2.0/mlflow-artifacts/artifacts/0/note.txt") for method in ("GET", "PUT", "DELETE")),
    ("GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/note.txt"),
    ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
    ("POST", "/v1/traces"),
    ("POST", "/gateway/mlflow/v1/chat/completions"),
    ("GET", "/no-such-page"),
]


@pytest.fixture
def admin(stack: Stack) -> tuple[str, str]:
    settings = stack.settings()
    return settings.mlflow_username, Path(settings.required("mlflow_password_file")).read_text()


def caller(stack: Stack, login: tuple[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=stack.settings().required("mlflow_uri"), auth=login, trust_env=False, timeout=30)


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("login", [None, ("admin", "wrong"), ("admin", ""), ("nobody", "wrong")])
def test_who_has_no_password_is_let_in_nowhere(
    stack: Stack, method: str, path: str, login: tuple[str, str] | None
) -> None:
    with caller(stack, login) as http:
        assert http.request(method, path, json={"query": "{ __typename }"}).status_code == 401


def test_the_admin_is_let_in(stack: Stack, admin: tuple[str, str]) -> None:
    with caller(stack, admin) as http:
        assert "text/html" in http.get("/").raise_for_status().headers["content-type"]
        http.get("/api/2.0/mlflow/experiments/search?max_results=1").raise_for_status()
        assert "<form" in http.get("/signup").raise_for_status().text


def test_a_program_without_the_password_is_told_so(stack: Stack) -> None:
    with pytest.raises(TrackingUnreachable, match="401"):
        Tracker(stack.settings().required("mlflow_uri"), Login("admin", "wrong")).ping()
    Tracker.of(stack.settings()).ping()


def test_a_second_user_may_look_and_not_touch(stack: Stack, admin: tuple[str, str]) -> None:
    guest = ("guest", secrets.token_urlsafe())
    with caller(stack, admin) as http:
        name = f"log-in {secrets.token_hex(4)}"
        experiment = http.post("/api/2.0/mlflow/experiments/create", json={"name": name}).json()["experiment_id"]
        created = http.post("/api/2.0/mlflow/users/create", json={"username": guest[0], "password": guest[1]})
        created.raise_for_status()
    with caller(stack, guest) as http:
        http.get(f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}").raise_for_status()
        for path, body in (
            ("experiments/delete", {"experiment_id": experiment}),
            ("runs/create", {"experiment_id": experiment}),
            ("users/create", {"username": "another", "password": guest[1]}),
        ):
            assert http.post(f"/api/2.0/mlflow/{path}", json=body).status_code == 403, path


def test_the_password_is_the_files_again_after_a_start(stack: Stack, admin: tuple[str, str]) -> None:
    user = admin[0]
    changed = secrets.token_urlsafe()
    with caller(stack, admin) as http:
        body = {"username": user, "password": changed, "current_password": admin[1]}
        http.patch("/api/2.0/mlflow/users/update-password", json=body).raise_for_status()
    with caller(stack, admin) as http:
        assert http.get("/").status_code == 401
    stack.restart("mlflow")
    with caller(stack, (user, changed)) as http:
        assert http.get("/").status_code == 401
    with caller(stack, admin) as http:
        assert http.get("/").status_code == 200
