from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import SettingsError, load_settings


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "platform.env").write_text("TEJIDO_S3_ENDPOINT=http://file\nTEJIDO_MLFLOW_URI=http://mlflow\n")
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(tmp_path / "platform.env"))
    monkeypatch.setenv("TEJIDO_S3_ENDPOINT", "http://environment")
    found = load_settings()
    assert (found.s3_endpoint, found.mlflow_uri) == ("http://environment", "http://mlflow")


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(tmp_path / "absent.env"))
    with pytest.raises(SettingsError, match=r"absent\.env"):
        load_settings()


def test_a_missing_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    monkeypatch.delenv("TEJIDO_MLFLOW_URI", raising=False)
    with pytest.raises(SettingsError, match="TEJIDO_MLFLOW_URI is not set"):
        load_settings().required("mlflow_uri")


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    monkeypatch.setenv("TEJIDO_S3_SECRET_KEY", "planted-secret")
    found = load_settings()
    assert "planted-secret" not in repr(found)
    assert found.required("s3_secret_key") == "planted-secret"


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    with pytest.raises(ValidationError):
        load_settings().mlflow_uri = "http://elsewhere"  # type: ignore[misc]


def test_faults_are_read_from_json_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    monkeypatch.setenv("TEJIDO_SIMULATION_FAULTS", '{"attackers": ["boreal"], "attack": "noise", "dropout": 0.2}')
    found = load_settings().simulation_faults
    assert found is not None
    assert (found.attackers, found.attack, found.dropout, found.seed) == (("boreal",), "noise", 0.2, 0)
    for wrong in ('{"attack": "praise"}', '{"dropout": 1.0}', '{"scale": 3}', "noise"):
        monkeypatch.setenv("TEJIDO_SIMULATION_FAULTS", wrong)
        with pytest.raises(SettingsError, match=r"(?i)simulation_faults"):
            load_settings()
