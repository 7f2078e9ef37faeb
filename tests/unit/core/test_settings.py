from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings, SettingsError, load_settings


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


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://catalog:planted/secret@127.0.0.1:5432/catalog",
        "postgresql://catalog:123/planted@127.0.0.1:5432/catalog",
        "postgresql://catalog:half@planted@127.0.0.1/catalog",
        "postgresql://catalog:planted@127.0.0.1:planted/catalog",
        "postgresql:/catalog:planted@127.0.0.1/catalog",
    ],
)
@pytest.mark.parametrize("name", ["postgres_dsn", "valkey_url"])
def test_an_address_whose_password_would_be_read_as_something_else_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, address: str, name: str
) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    monkeypatch.setenv(f"TEJIDO_{name.upper()}", address)
    with pytest.raises(SettingsError, match=f"TEJIDO_{name.upper()}: .*%2F") as refused:
        load_settings()
    assert "planted" not in str(refused.value)
    with pytest.raises(ValidationError) as raw:
        Settings(_env_file=None)
    assert "planted" not in str(raw.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://catalog:p%2F%40ss@127.0.0.1:5432/catalog",
        "postgresql://catalog:p:a#s?s@db/catalog?sslmode=require",
        "postgresql://[::1]:5432/catalog",
        "postgresql://u@one:5432,two:5433/catalog",
        "host=127.0.0.1 password='p/@ss'",
        "postgresql:///catalog?host=/run/postgresql",
        "valkey://:word@valkey:6379/0",
        "valkey://localhost",
    ],
)
def test_an_address_is_read_as_libpq_and_valkey_read_it(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    monkeypatch.setenv("TEJIDO_POSTGRES_DSN", address)
    assert load_settings().required("postgres_dsn") == address


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
