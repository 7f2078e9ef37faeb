"""Who a client's commands speak for, and what they refuse to understand."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.client.publish import publish
from cli.client.session import client_settings
from cli.errors import BadOption, StackNotRunning
from core.environment import write_environment
from core.errors import ClientNameInvalid


def test_a_client_s_own_file_in_the_state_folder_is_read(tmp_path: Path) -> None:
    write_environment(
        tmp_path / "run" / "client-aurora.env", {"client_name": "aurora", "client_bucket": "client-aurora"}
    )
    assert client_settings(tmp_path, "aurora").client_bucket == "client-aurora"
    with pytest.raises(StackNotRunning, match="boreal"):
        client_settings(tmp_path, "boreal")
    with pytest.raises(ClientNameInvalid):
        client_settings(tmp_path, "../aurora")
    with pytest.raises(BadOption, match="which client"):
        client_settings(tmp_path, None)


def test_a_process_with_settings_of_its_own_speaks_for_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_environment(tmp_path / "aurora.env", {"client_name": "aurora", "client_bucket": "client-aurora"})
    write_environment(tmp_path / "platform.env", {"s3_endpoint": "http://store"})
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(tmp_path / "aurora.env"))
    assert client_settings(tmp_path, None).client_name == client_settings(tmp_path, "aurora").client_name == "aurora"
    with pytest.raises(BadOption):
        client_settings(tmp_path, "boreal")
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(tmp_path / "platform.env"))
    with pytest.raises(BadOption):
        client_settings(tmp_path, None)


@pytest.mark.parametrize("chosen", [{}, {"everything": True, "withdraw": True}])
def test_it_must_be_said_what_may_be_published(tmp_path: Path, chosen: dict[str, bool]) -> None:
    with pytest.raises(BadOption):
        publish("aurora", state=tmp_path, **{"everything": False, "withdraw": False, **chosen})  # type: ignore[arg-type]
