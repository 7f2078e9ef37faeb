"""What each of the platform's own services is told: one share a service, with nothing in it that it does not use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.environment import write_environment
from core.files import write_atomically
from core.names import API_ROLE, DATABASES, ROLES
from deployment import addresses
from deployment.keys import Keys
from deployment.mlflow import CONFIGURATION, FORMS_KEY, login_configuration
from deployment.shares import Share
from security.artifact_keys import SIGNING, TRUSTED, WRAPPING, ArtifactKeys
from security.certificates import server_certificate

CONNECTION = "tejido"
AIRFLOW_USER = "admin"
RENEWED = "renewed"
"""The word that all is renewed, in the folder that the operator's commands and set-up have in common."""
ADMIN_PASSWORD = "admin-password"  # noqa: S105 - the name of a file
MLFLOW_PASSWORD = "mlflow-password"  # noqa: S105 - likewise
MOUNT = Path("/run/tejido")
"""Where a service finds its own share."""
DATA = Path("/var/lib/tejido")
"""Where a service keeps what shall outlive its container."""
HOLDERS = ("api", "coordinator", "operator", "worker")
"""Whose services open models and checkpoints."""
VALKEY = """\
requirepass {password}
save {save}
appendonly {appendonly}
dir /data
maxmemory {memory}
# A cache may drop what has a lifetime; a broker may drop nothing.
maxmemory-policy {policy}
"""


@dataclass(frozen=True)
class Owners:
    """User ids of the services, as docker-compose.yaml gives them."""

    platform: int
    airflow: int


@dataclass(frozen=True)
class Platform:
    """The secrets of one deployment, as settings of its services."""

    keys: Keys
    notify_url: str = ""
    """Where failures and judgements are posted; the operator's to give."""
    readers: str = ""
    """Buckets with read-only keys, as JSON, for the API to sign pictures' URLs with; the operator's to give."""

    def write(self, root: Path, owners: Owners) -> None:
        """Write every share below ``root``; what exists keeps its secrets."""
        server_certificate(self.keys.tls, ["superlink", "localhost"])
        self._admit(root, owners)
        shares = {
            "postgres": self._postgres, "valkey": self._valkey, "broker": self._broker, "store": self._store,
            "mlflow": self._mlflow, "superlink": self._superlink, "coordinator": self._coordinator, "api": self._api,
            "databases": self._databases, "operator": self._operator, "airflow": self._airflow,
            "metrics": self._metrics, "prometheus": self._scraper, "grafana": self._grafana,
        }  # fmt: skip
        for name, write in shares.items():
            share = Share(root / name, owners.airflow if name == "airflow" else owners.platform)
            write(share)
            share.close()
        # The worker runs the operator's commands, as Airflow's user.
        worker = Share(root / "worker", owners.airflow)
        self._operator(worker)
        worker.close()

    def dsn(self, database: str, *, driver: str = "") -> str:
        """The URL with which the owner of ``database`` connects; ``driver`` as SQLAlchemy names it."""
        return self._dsn(DATABASES[database], database, driver=driver)

    @property
    def passwords(self) -> dict[str, str]:
        """Of the databases' roles."""
        return {role: self.keys.secret(f"postgres-{role}") for role in ROLES}

    def _postgres(self, share: Share) -> None:
        share.write("password", self.keys.secret("postgres-superuser"))

    def _valkey(self, share: Share) -> None:
        password = self.keys.secret("valkey")
        share.write("password", password)
        share.write("valkey.conf", VALKEY.format(
            password=password, save="60 1", appendonly="no", memory="256mb", policy="volatile-lru"
        ))  # fmt: skip

    def _broker(self, share: Share) -> None:
        password = self.keys.secret("broker")
        share.write("password", password)
        # Tasks that were sent survive a kill.
        share.write("valkey.conf", VALKEY.format(
            password=password, save='""', appendonly="yes", memory="128mb", policy="noeviction"
        ))  # fmt: skip

    def _store(self, share: Share) -> None:
        share.write("access-key", self.keys.secret("store-access", length_bytes=15))
        share.write("secret-key", self.keys.secret("store-secret"))

    def _mlflow(self, share: Share) -> None:
        database = self.dsn("mlflow_db", driver="psycopg")
        share.write("database", database)
        share.write(CONFIGURATION, login_configuration(database, self.keys.secret(MLFLOW_PASSWORD)))
        share.write(FORMS_KEY, self.keys.secret("mlflow-forms"))
        self._store(share)

    def _superlink(self, share: Share) -> None:
        for name in ("server.pem", "server.key", "ca.pem"):
            share.write(name, (self.keys.tls / name).read_text())
        share.write("superexec", self.keys.secret("superexec-coordinator"))

    def _coordinator(self, share: Share) -> None:
        share.write("ca.pem", self.authority)
        share.write("superexec", self.keys.secret("superexec-coordinator"))
        values = {**self._tracking(share), **self._artifacts(share, may_sign=True)}
        write_environment(share.folder / "settings.env", {**self._stores(), **values})

    def _api(self, share: Share) -> None:
        values = {"signing_key_dir": DATA / "signing", **self._tracking(share)}
        values |= {"metrics_token_file": MOUNT / self._scraper(share).name}
        values |= self._artifacts(share, may_sign=False)
        # Also where there are none yet: a running API follows the file.
        values["readers_file"] = MOUNT / share.write("readers.json", self.readers or "[]").name
        # A role that owns nothing: what one client has not published, PostgreSQL keeps from the others.
        values["postgres_dsn"] = self._dsn(API_ROLE, "catalog")
        write_environment(share.folder / "settings.env", {**self._stores(), **values})

    def _scraper(self, share: Share) -> Path:
        return share.write("metrics-token", self.keys.secret("metrics-token"))

    def _metrics(self, share: Share) -> None:
        token = MOUNT / self._scraper(share).name
        values = {**self._tracking(share), "metrics_token_file": token, "flwr_home": DATA / "flwr"}
        values |= {"superlink_connection": CONNECTION}
        write_environment(share.folder / "settings.env", {**self._stores(), **self._catalogue(), **values})

    def _grafana(self, share: Share) -> None:
        share.write("password", self.keys.secret("grafana-admin"))

    def _databases(self, share: Share) -> None:
        share.write(
            "superuser", f"postgresql://postgres:{self.keys.secret('postgres-superuser')}@{addresses.POSTGRES}/postgres"
        )
        share.write("passwords.json", json.dumps(self.passwords))
        share.write(ADMIN_PASSWORD, self.keys.secret(ADMIN_PASSWORD))
        write_environment(share.folder / "settings.env", {**self._stores(), **self._catalogue()})

    def _operator(self, share: Share) -> None:
        password = share.write("airflow-password", self.keys.secret("airflow-admin"))
        share.write(f"secrets/{ADMIN_PASSWORD}", self.keys.secret(ADMIN_PASSWORD))
        bundle_key = share.write("bundle.key", self.keys.bundle_key.read_text())
        values: dict[str, object] = {
            **self._stores(),
            **self._catalogue(),
            **self._artifacts(share, may_sign=True),
            **self._tracking(share),
            "state_dir": MOUNT,
            "airflow_url": addresses.AIRFLOW,
            "airflow_password_file": MOUNT / password.name,
            "api_url": addresses.API,
            "clients_file": DATA / "clients" / "clients.json",
            "renewed_file": DATA / "clients" / RENEWED,
            "superlink_connection": CONNECTION,
            "flwr_home": DATA / "flwr",
            "bundle_key_file": MOUNT / bundle_key.name,
        }
        if self.notify_url:
            values["notify_url"] = self.notify_url
        write_environment(share.folder / "settings.env", values)

    def _airflow(self, share: Share) -> None:
        broker = f"redis://:{self.keys.secret('broker')}@{addresses.BROKER}/0"
        share.write("sql_alchemy_conn", self.dsn("airflow", driver="psycopg2"))
        share.write("result_backend", f"db+{self.dsn('airflow', driver='psycopg2')}")
        share.write("broker_url", broker)
        # A secret is 32 bytes in URL-safe base64, which with its padding is what Fernet takes.
        share.write("fernet_key", self.keys.secret("airflow-fernet") + "=")
        share.write("secret_key", self.keys.secret("airflow-secret"))
        # Airflow signs with HMAC-SHA-512, whose key should be as long as its digest.
        share.write("jwt_secret", self.keys.secret("airflow-jwt", length_bytes=64))
        share.write("passwords.json", json.dumps({AIRFLOW_USER: self.keys.secret("airflow-admin")}))

    def write_connection(self, folder: Path) -> None:
        """How the operator's Flower commands find the SuperLink; nothing in it is secret."""
        write_atomically(folder / "ca.pem", self.authority.encode())
        lines = [
            "[superlink]",
            f'default = "{CONNECTION}"',
            "",
            f"[superlink.{CONNECTION}]",
            f'address = "{addresses.SUPERLINK}"',
            f'root-certificates = "{DATA / "flwr" / "ca.pem"}"',
        ]
        write_atomically(folder / "config.toml", ("\n".join(lines) + "\n").encode())

    @property
    def authority(self) -> str:
        """The certificate that SuperNodes and the operator trust."""
        return (self.keys.tls / "ca.pem").read_text()

    def _tracking(self, share: Share) -> dict[str, object]:
        """Where MLflow is, and its password for those who ask it."""
        password = share.write(MLFLOW_PASSWORD, self.keys.secret(MLFLOW_PASSWORD))
        return {"mlflow_uri": addresses.MLFLOW, "mlflow_password_file": MOUNT / password.name}

    def _admit(self, root: Path, owners: Owners) -> None:
        """Tell everybody all keys that open models and checkpoints, before anybody wraps or signs by a new one."""
        keys = ArtifactKeys.open(self.keys.artifacts)
        for name in HOLDERS:
            share = Share(root / name, owners.airflow if name == "worker" else owners.platform)
            wrapping, known = keys.wrapping_keys(), share.folder / "artifacts" / WRAPPING
            if known.exists():
                # The one that it wraps with now stays the first until all have the new one.
                current = known.read_text().split()[:1]
                wrapping.sort(key=lambda key: [key] != current)
            share.write(f"artifacts/{WRAPPING}", "".join(f"{key}\n" for key in wrapping))
            share.write(f"artifacts/{TRUSTED}", (keys.directory / TRUSTED).read_text())

    def _artifacts(self, share: Share, *, may_sign: bool) -> dict[str, Path]:
        """What opens models and checkpoints; what signs them only for those who write some."""
        keys = ArtifactKeys.open(self.keys.artifacts)
        for name in (WRAPPING, TRUSTED, *([SIGNING] if may_sign else [])):
            share.write(f"artifacts/{name}", (keys.directory / name).read_text())
        return {"artifact_keys_dir": MOUNT / "artifacts"}

    def _stores(self) -> Mapping[str, object]:
        return {
            "cache_dir": DATA / "cache",
            "valkey_url": f"valkey://:{self.keys.secret('valkey')}@{addresses.VALKEY}/0",
            "s3_endpoint": addresses.STORE,
            "s3_access_key": self.keys.secret("store-access", length_bytes=15),
            "s3_secret_key": self.keys.secret("store-secret"),
        }

    def _dsn(self, role: str, database: str, *, driver: str = "") -> str:
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{role}:{self.keys.secret(f'postgres-{role}')}@{addresses.POSTGRES}/{database}"

    def _catalogue(self) -> Mapping[str, object]:
        return {"postgres_dsn": self.dsn("catalog")}
