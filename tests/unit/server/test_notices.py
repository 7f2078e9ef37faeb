"""A notice reaches whoever listens; that nobody does is no error."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core.settings import Settings
from server.notices import post_notice

HOOK = "https://chat/hook?token=hidden"


@pytest.mark.parametrize("answer", [httpx.Response(200), httpx.Response(500), httpx.ConnectError("gone")])
def test_it_is_posted_with_what_it_is_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: httpx.Response | httpx.ConnectError
) -> None:
    posted: list[dict[str, Any]] = []

    def post(url: str, *, json: dict[str, Any], timeout: float) -> httpx.Response:
        posted.append({"to": url, **json})
        if isinstance(answer, httpx.ConnectError):
            raise answer
        answer.request = httpx.Request("POST", url)
        return answer

    monkeypatch.setattr(httpx, "post", post)
    post_notice(Settings(_env_file=None, notify_url=SecretStr(HOOK)), "Version 7 is the champion now.", version="7")
    assert posted == [{"to": HOOK, "text": "Version 7 is the champion now.", "version": "7"}]
    said = "".join(capsys.readouterr())
    assert ("could not be posted" in said) == (not isinstance(answer, httpx.Response) or answer.is_error)
    assert "hidden" not in said


def test_an_address_that_cannot_be_read_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    post_notice(Settings(_env_file=None, notify_url=SecretStr("https://chat:hidden/hook")), "Version 7.")
    said = "".join(capsys.readouterr())
    assert "could not be posted" in said
    assert "hidden" not in said


def test_nothing_is_posted_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "post", lambda *_, **__: pytest.fail("posted"))
    post_notice(Settings(_env_file=None), "Version 7 is the champion now.")
