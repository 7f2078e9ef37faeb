"""`tejido session end`: the audit log tells who ended them."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.sessions import SessionStore
from tests.unit.cli.test_client_commands import as_json


@pytest.mark.parametrize(("options", "user"), [(["--user", "ana"], "ana"), (["--all"], None)])
def test_who_ends_sessions_is_told_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], user: str | None
) -> None:
    environment = tmp_path / "platform.env"
    environment.write_text('TEJIDO_POSTGRES_DSN="postgresql://127.0.0.1:1/none"\nTEJIDO_ACTOR="olga"\n')
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(environment))
    told: list[tuple[str | None, str]] = []

    def of_user(store: SessionStore, username: str, reason: str) -> int:
        told.append((username, reason))
        return 2

    def of_all(store: SessionStore, reason: str) -> int:
        told.append((None, reason))
        return 2

    monkeypatch.setattr(SessionStore, "revoke_of_user", of_user)
    monkeypatch.setattr(SessionStore, "revoke_all", of_all)
    assert as_json("session", "end", *options) == {"ended": 2}
    assert told == [(user, "ended by olga")]
