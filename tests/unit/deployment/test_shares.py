"""What each service of a deployment in containers is told, and what it is not."""

from __future__ import annotations

import json
import os
import ssl
import stat
from pathlib import Path

import pytest
import typer
import yaml
from cryptography import x509
from typer.testing import CliRunner

from cli.setup.files import files
from clients.receipts import receipts_folder
from core.settings import load_settings
from deployment.clients import Client
from deployment.keys import Keys
from deployment.platform import Owners, Platform
from deployment.shares import Share
from deployment.volumes import read_notify_url, read_readers
from security.artifact_keys import SIGNING, TRUSTED, ArtifactKeys
from security.artifact_rotation import ArtifactRotation
from security.bundles import verifying_key
from security.ed25519 import fingerprint
from security.errors import RotationUnfinished
from security.policy import read_policy

ME = Owners(os.getuid(), os.getuid())
HOLDERS = {
    "postgres-superuser": {"postgres", "databases"},
    "postgres-mlflow": {"databases", "mlflow"},
    "postgres-airflow": {"databases", "airflow"},
    "postgres-catalog": {"databases", "operator", "worker", "metrics"},
    "postgres-catalog_api": {"databases", "api"},
    "store-secret": {"store", "mlflow", "coordinator", "api", "databases", "operator", "worker", "metrics"},
    "valkey": {"valkey", "coordinator", "api", "databases", "operator", "worker", "metrics"},
    "metrics-token": {"api", "metrics", "prometheus"},
    "grafana-admin": {"grafana"},
    "broker": {"broker", "airflow"},
    "superexec-coordinator": {"superlink", "coordinator"},
    "mlflow-password": {"mlflow", "coordinator", "api", "operator", "worker", "metrics"},
    "mlflow-forms": {"mlflow"},
    "airflow-jwt": {"airflow"},
    "airflow-fernet": {"airflow"},
    "airflow-admin": {"airflow", "operator", "worker"},
    "admin-password": {"databases", "operator", "worker"},
    "bundle-signing.key": {"operator", "worker"},
}
"""Secret → the shares that hold it, and no other."""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def written(keys: Keys, root: Path) -> dict[str, str]:
    """Every file of every share, as one text a share."""
    return {
        share.name: "\n".join(path.read_text() for path in share.rglob("*") if path.is_file())
        for share in root.iterdir()
    }


@pytest.mark.parametrize("secret", HOLDERS)
def test_a_secret_is_told_to_those_who_use_it(keys: Keys, tmp_path: Path, secret: str) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    value = (keys.folder / secret).read_text()
    assert {name for name, text in written(keys, tmp_path / "shares").items() if value in text} == HOLDERS[secret]


@pytest.mark.parametrize(
    ("file", "holders"),
    [
        ("wrapping.keys", {"coordinator", "operator", "worker", "api"}),
        ("trusted.keys", {"coordinator", "operator", "worker", "api"}),
        ("signing.key", {"coordinator", "operator", "worker"}),
    ],
)
def test_who_only_reads_models_cannot_sign_one(keys: Keys, tmp_path: Path, file: str, holders: set[str]) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    value = (keys.artifacts / file).read_text()
    assert {name for name, text in written(keys, tmp_path / "shares").items() if value.strip() in text} == holders
    for name in holders:
        folder = load_settings(tmp_path / "shares" / name / "settings.env").artifact_keys_dir
        assert folder == Path("/run/tejido/artifacts")


def test_keys_are_added_and_the_old_ones_forgotten_by_set_up(keys: Keys, tmp_path: Path) -> None:
    app, shares = typer.Typer(), tmp_path / "shares"
    app.command()(files)
    folders = [
        part for name in ("keys", "shares", "volumes", "secrets") for part in (f"--{name}", str(tmp_path / name))
    ]
    renewed = tmp_path / "volumes" / "clients" / "renewed"
    renewed.parent.mkdir(parents=True)
    owners = ["--owner", str(os.getuid()), "--airflow-owner", str(os.getuid())]

    def told(*options: str) -> list[str]:
        done = CliRunner().invoke(app, [*folders, *owners, *options])
        assert done.exit_code == 0, done.output
        return of_api()

    def of_api() -> list[str]:
        return (shares / "api" / "artifacts" / "wrapping.keys").read_text().split()

    def of_operator() -> ArtifactKeys:
        return ArtifactKeys(shares / "operator" / "artifacts")

    (first,) = told()
    assert told() == [first]
    signer = of_operator().signer
    # Before all is renewed by the newest keys, none is forgotten.
    renewed.write_bytes(ArtifactRotation(of_operator()).word())
    newest, older = told("--rotate-artifacts", "begin")
    assert older == first
    assert of_operator().signer != signer
    early = CliRunner().invoke(app, [*folders, *owners, "--rotate-artifacts", "retire"])
    assert isinstance(early.exception, RotationUnfinished)
    assert "--rewrap" in early.exception.hint
    assert len((keys.artifacts / TRUSTED).read_text().split()) == 2
    # A rotation that is not over begins no other, and says so; where it broke off, its key is told to all.
    Share(shares / "api", os.getuid()).write("artifacts/wrapping.keys", f"{older}\n")
    refused = CliRunner().invoke(app, [*folders, *owners, "--rotate-artifacts", "begin"])
    assert isinstance(refused.exception, RotationUnfinished)
    assert "retire" in refused.exception.hint
    assert of_api() == [newest, older]
    renewed.write_bytes(ArtifactRotation(of_operator()).word())
    assert told("--rotate-artifacts", "retire") == [newest]
    for name in ("api", "coordinator", "operator", "worker"):
        held = ArtifactKeys(shares / name / "artifacts")
        assert [fingerprint(key) for key in held.trusted()] == [of_operator().signer]
    # Killed before the services were told, it tells them the next time.
    assert told("--rotate-artifacts", "retire") == [newest]
    assert len(told("--rotate-artifacts", "begin")) == 2


def test_nobody_wraps_or_signs_by_a_key_that_another_service_does_not_have(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares, written_before = tmp_path / "shares", Share.write
    Platform(keys).write(shares, ME)
    ArtifactRotation(ArtifactKeys(keys.artifacts)).begin()
    told: list[str] = []

    def written(share: Share, name: str, text: str) -> Path:
        path = written_before(share, name, text)
        holders = [ArtifactKeys(shares / name / "artifacts") for name in ("api", "coordinator", "operator", "worker")]
        signers = {held.signer for held in holders if (held.directory / SIGNING).exists()}
        for held in holders:
            assert signers <= {fingerprint(key) for key in held.trusted()}
            assert {other.wrapping_keys()[0] for other in holders} <= set(held.wrapping_keys())
        if name.startswith("artifacts/"):
            told.append(f"{share.folder.name} {name}")
        return path

    monkeypatch.setattr(Share, "write", written)
    Platform(keys).write(shares, ME)
    # Each of four twice, and those who sign once more.
    assert len(told) == 4 * 2 * 2 + 3
    assert len(ArtifactKeys(shares / "api" / "artifacts").trusted()) == 2


def test_a_file_of_a_share_is_never_seen_before_its_owner_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int, bool]] = []

    def chown(path: str, user: int, group: int) -> None:
        given.append((Path(path).parent.name, user, group, (tmp_path / "share" / "secret").exists()))

    monkeypatch.setattr(os, "chown", chown)
    Share(tmp_path / "share", 10001).write("secret", "s")
    assert given == [("share", 10001, 10001, False)]


def test_no_two_secrets_are_alike(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    values = [path.read_text() for path in keys.folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    assert len(values) >= len(HOLDERS)
    assert len(set(values)) == len(values)


def test_only_the_owner_reads_a_share(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    for share in (tmp_path / "shares").iterdir():
        assert stat.S_IMODE(share.stat().st_mode) == 0o500
        assert {stat.S_IMODE(path.stat().st_mode) for path in share.rglob("*") if path.is_file()} == {0o600}


def test_a_second_start_changes_nothing(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "first", ME)
    Platform(keys).write(tmp_path / "second", ME)
    assert written(keys, tmp_path / "first") == written(keys, tmp_path / "second")


def test_the_settings_can_be_read(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    settings = load_settings(tmp_path / "shares" / "operator" / "settings.env")
    assert settings.required("postgres_dsn").endswith("@postgres:5432/catalog")
    assert settings.required("valkey_url").endswith("@valkey:6379/0")


def test_a_web_hook_is_told_to_those_who_post(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "notify-url").write_text("https://chat/hook?token=hidden\n")
    Platform(keys, notify_url=read_notify_url(tmp_path)).write(tmp_path / "shares", ME)
    told = {name for name, text in written(keys, tmp_path / "shares").items() if "token=hidden" in text}
    assert told == {"operator", "worker"}
    settings = load_settings(tmp_path / "shares" / "worker" / "settings.env")
    assert settings.required("notify_url") == "https://chat/hook?token=hidden"


def test_keys_that_read_pictures_are_told_to_the_api_alone(keys: Keys, tmp_path: Path) -> None:
    reader = {"endpoint": "https://s3", "access_key": "r", "secret_key": "only-reads", "bucket": "client-aurora"}
    (tmp_path / "readers.json").write_text(json.dumps([reader]))
    Platform(keys, readers=read_readers(tmp_path)).write(tmp_path / "shares", ME)
    assert {name for name, text in written(keys, tmp_path / "shares").items() if "only-reads" in text} == {"api"}
    settings = load_settings(tmp_path / "shares" / "api" / "settings.env")
    assert settings.readers_file == Path("/run/tejido/readers.json")


def test_there_need_be_no_web_hook(tmp_path: Path) -> None:
    assert read_notify_url(tmp_path) == ""


def test_a_client_is_told_its_own_secrets_only(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    for name in ("aurora", "boreal"):
        Client(keys, name).write(tmp_path / name, ME.platform)
    mine = written(keys, tmp_path / "aurora")
    key, bucket = (keys.nodes / "aurora.key").read_text(), (keys.folder / "store-aurora-secret").read_text()
    assert {name for name, text in mine.items() if key in text} == {"node"}
    assert {name for name, text in mine.items() if bucket in text} == {"store", "apps", "enrolment"}
    strangers = [path for path in keys.folder.rglob("*") if path.is_file() and "aurora" not in str(path)]
    public = {keys.tls / "ca.pem", keys.tls / "server.pem"}
    secrets = [path.read_text() for path in strangers if path not in public and not path.name.startswith(".")]
    assert len(secrets) > len(HOLDERS)
    assert not [secret for secret in secrets if any(secret in text for text in mine.values())]


def test_the_platform_writes_to_a_client_through_its_gate(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    Client(keys, "aurora").write(tmp_path / "aurora", ME.platform)
    bucket = json.loads((tmp_path / "aurora" / "enrolment" / "bucket.json").read_text())
    assert (bucket["endpoint"], bucket["bucket"]) == ("http://gate-aurora:9000", "client-aurora")
    assert "set $store store-aurora:9000;" in (tmp_path / "aurora" / "gate" / "nginx.conf").read_text()


def test_a_client_s_receipts_lie_in_a_volume_that_is_no_cache(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    Client(keys, "aurora").write(tmp_path / "aurora", ME.platform)
    folder = receipts_folder(load_settings(tmp_path / "aurora" / "apps" / "settings.env"))
    services = yaml.safe_load((Path(__file__).resolve().parents[3] / "docker-compose.yaml").read_text())["services"]
    mounts = [mount.split(":") for mount in services["clientapps-aurora"]["volumes"]]
    assert [volume for volume, target, *_ in mounts if folder.is_relative_to(target)] == ["state-aurora"]
    assert "state-aurora:/volumes/state" in services["setup-aurora"]["volumes"], "set-up gives it to its user"


def test_a_gates_certificate_is_its_own_and_the_federations(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "shares", ME)
    superlink = (keys.tls / "server.pem").read_bytes()
    Client(keys, "aurora").write(tmp_path / "aurora", ME.platform)
    gate = tmp_path / "aurora" / "gate"
    certificate = x509.load_pem_x509_certificate((gate / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gate-aurora"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((keys.tls / "ca.pem").read_bytes()))
    ssl.create_default_context().load_cert_chain(gate / "server.pem", gate / "server.key")
    assert (keys.tls / "server.pem").read_bytes() == superlink


def test_a_client_s_policy_names_the_operator_s_key_and_is_never_written_again(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "platform", ME)
    Client(keys, "aurora").write(tmp_path / "shares", os.getuid())
    path = tmp_path / "shares" / "apps" / "policy.toml"
    assert read_policy(path).signers == (verifying_key(keys.bundle_key),)
    path.write_text("its own word")
    Client(keys, "aurora").write(tmp_path / "shares", os.getuid())
    assert path.read_text() == "its own word"


def test_forgotten_keys_are_made_anew_and_no_other_client_s_change(keys: Keys, tmp_path: Path) -> None:
    Platform(keys).write(tmp_path / "platform", ME)
    for name in ("aurora", "boreal"):
        Client(keys, name).write(tmp_path / name, os.getuid())
    before = {name: written(keys, tmp_path / name) for name in ("aurora", "boreal")}
    Client(keys, "aurora").forget_keys()
    for name in ("aurora", "boreal"):
        Client(keys, name).write(tmp_path / name, os.getuid())
    after = {name: written(keys, tmp_path / name) for name in ("aurora", "boreal")}
    assert after["boreal"] == before["boreal"]
    assert all(after["aurora"][share] != before["aurora"][share] for share in ("node", "apps", "store", "enrolment"))
    assert after["aurora"]["gate"] == before["aurora"]["gate"]
