"""Who this process is to MLflow: read from a file, shown to the server alone."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.settings import Settings, SettingsError
from server.tracking import Login, Tracker


class Server(ThreadingHTTPServer):
    """Answers as MLflow does when there is nothing to find, and remembers who asked."""

    def __init__(self) -> None:
        self.asked_by: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        kind, _, word = self.headers.get("Authorization", " ").partition(" ")
        self.server.asked_by.append(base64.b64decode(word).decode() if kind == "Basic" else "")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 - the name that the standard library looks for

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that what the test sets is taken back
    pair = (Server(), Server())
    for server in pair:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield pair
    for server in pair:
        server.shutdown()
        server.server_close()


def settings_of(server: Server, password_file: Path | None, username: str = "admin") -> Settings:
    return Settings(_env_file=None, mlflow_uri=server.url, mlflow_username=username, mlflow_password_file=password_file)


def test_each_server_is_asked_as_its_own_user_however_they_take_turns(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    (tmp_path / "one").write_text("first-password\n")
    (tmp_path / "two").write_text("second-password")
    one = Tracker.of(settings_of(servers[0], tmp_path / "one"))
    two = Tracker.of(settings_of(servers[1], tmp_path / "two", "reader"))
    for tracker in (one, two, one):
        tracker.ping()
    assert set(servers[0].asked_by) == {"admin:first-password"}
    assert set(servers[1].asked_by) == {"reader:second-password"}


def test_a_server_without_a_log_in_is_asked_without(servers: tuple[Server, Server]) -> None:
    Tracker.of(settings_of(servers[0], None)).ping()
    assert set(servers[0].asked_by) == {""}


def test_a_file_that_says_nothing_is_named(servers: tuple[Server, Server], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name, said in (("absent", "cannot be read"), ("empty", "is empty")):
        with pytest.raises(SettingsError, match=f"TEJIDO_MLFLOW_PASSWORD_FILE {said}"):
            Tracker.of(settings_of(servers[0], tmp_path / name))


def test_the_password_does_not_show_when_a_login_is_printed() -> None:
    assert "hidden-word" not in repr(Login("admin", "hidden-word"))
