"""One frozen settings object per process, read from ``TEJIDO_*`` variables.

``TEJIDO_ENV_FILE`` may name a file of such variables (mode 0600): the embedded stack writes one for the platform and
one for each client, so that no secret stands on a command line and no client process is given another's keys.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from core.errors import TejidoError

MIN_TOKEN_CHARS = 24
HOST = r"(?:\[[^\]@/]*\]|[^@/:,?]*)(?::\d*)?"
ADDRESS = re.compile(rf"[a-z][a-z0-9+.-]*://(?:[^@/]*@)?{HOST}(?:,{HOST})*(?:[/?][^@]*)?|\w+\s*=.*", re.IGNORECASE)
"""A URL, or what libpq takes in its place: ``host=db dbname=catalog``."""


class SettingsError(TejidoError):
    """A TEJIDO_* variable is missing or cannot be read."""

    code = "settings.invalid"


class Bucket(BaseModel):
    """Where one bucket is, and the keys that open it."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    access_key: str
    secret_key: SecretStr
    bucket: str
    region: str = "us-east-1"


class ClientBucket(Bucket):
    """The bucket of one client, as the operator's ETL writes to it."""

    name: str


Attack = Literal["sign_flip", "scaled", "boosted", "noise", "nan", "label_swap"]
"""What a simulated attacker does; clients/faults.py explains each."""


class SimulationFaults(BaseModel):
    """What goes wrong in a simulation: clients that attack, and clients that drop out of a round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attackers: tuple[str, ...] = ()
    """Names of the clients that attack."""
    attack: Attack = "sign_flip"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of (client, round) in which the client fails."""
    seed: int = 0
    """Decides who drops out when, and what an attack draws."""


class Settings(BaseSettings):
    """Everything a process needs to find the others. Unset means: this process does not use it."""

    model_config = SettingsConfigDict(env_prefix="TEJIDO_", frozen=True, extra="ignore", hide_input_in_errors=True)

    state_dir: Path = Path(".tejido")
    """Folder of the embedded stack: data, logs, secrets, caches."""
    cache_dir: Path | None = None
    """Folder of this process's feature caches; ``<state_dir>/cache`` when unset."""
    postgres_dsn: SecretStr | None = None
    """libpq URL of the ``catalog`` database."""
    valkey_url: SecretStr | None = None
    """``valkey://`` URL of the cache."""
    s3_endpoint: str | None = None
    """URL of the S3 service of this process: the platform's, or the client's own."""
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    s3_region: str = "us-east-1"
    client_name: str | None = None
    """Set in a client's process only: whose partition it is."""
    client_bucket: str | None = None
    """Set in a client's process only: the bucket of that partition."""
    policy_file: Path | None = None
    """The client's policy, in a client's process only: what it takes part in. Unset: in everything."""
    bundle_key_file: Path | None = None
    """Ed25519 key that signs the app's bundles, in the operator's processes only; unset: they are not signed."""
    simulation_dir: Path | None = None
    """Set in simulated processes only: folder with data/, checkpoints/ and one client-<name>/ each, in place of S3."""
    simulation_faults: SimulationFaults | None = None
    """Set in simulated processes only, as JSON; a process with a bucket of its own refuses to work with it."""
    clients_file: Path | None = None
    """JSON list of client buckets (0600), for the operator's ETL only."""
    readers_file: Path | None = None
    """JSON list of buckets with the keys of users who may read pictures and nothing else (0600), for the API only."""
    publishing_page: int = Field(default=1000, ge=1, le=2000)
    """Products that a client embeds and sends at a time, when it publishes."""
    publishing_page_s: float = Field(default=600.0, gt=0)
    """How long one such page may take; the first includes encoding the pictures."""
    publishing_wait_s: float = Field(default=20.0, ge=0)
    """How long a wave waits for a client that has published before and is not online."""
    publishing_deadline_s: float = Field(default=3600.0, gt=0)
    """How long a wave may take in all."""
    publishing_attempts: int = Field(default=3, ge=1)
    """How often in a row a client is asked for the same page; and how many waves a new index version is given."""
    publishing_coverage: float = Field(default=0.99, gt=0, le=1)
    """Share of each client's published products that a new index version must hold, or an old one stays for them."""
    mlflow_uri: str | None = None
    mlflow_username: str = "admin"
    mlflow_password_file: Path | None = None
    """Unset: MLflow is asked without a log-in."""
    airflow_url: str | None = None
    airflow_username: str = "admin"
    airflow_password_file: Path | None = None
    superlink_connection: str = "tejido"
    """Name of the connection in ``$FLWR_HOME/config.toml``."""
    flwr_home: Path | None = None
    api_url: str | None = None
    signing_key_dir: Path | None = None
    """Folder of the ES256 keys that sign access tokens."""
    artifact_keys_dir: Path | None = None
    """Folder of the keys that models and checkpoints are sealed and opened with; unset: they are plain files."""
    renewed_file: Path | None = None
    """Where the rotation of those keys leaves word that all is renewed, for a set-up that has no way to what is."""
    receipts_dir: Path | None = None
    """In a client's process: where it notes what leaves its machine; ``receipts`` in its state folder when unset."""
    graphql_introspection: bool = False
    """Whether tools may read the GraphQL schema over the wire; off, as it also helps an attacker."""
    searches_per_minute: int = Field(default=600, ge=0)
    """How many searches one user of the API may make in a minute; 0: any number."""
    notify_url: SecretStr | None = None
    """Where failed DAG runs and judgements of models are posted as JSON; a secret, as it often holds a token."""
    metrics_token_file: Path | None = None
    """File of the token that a scraper of metrics bears; unset: nobody may read them."""
    otlp_endpoint: str | None = None
    """URL of the OpenTelemetry collector (OTLP over HTTP) that traces go to; unset: there are none."""
    actor: str | None = None
    """Who acts, for the trail of model changes; the user and machine of this process when unset."""
    encoding_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What queries are encoded in, and products for an index; ``auto`` measures. Training is always float32."""
    progress_key: str | None = None
    """Valkey key under which this process shares its progress; see core.progress."""

    @field_validator("postgres_dsn", "valkey_url")
    @classmethod
    def _is_read_as_meant(cls, value: SecretStr | None) -> SecretStr | None:
        # The part of a password after its / or @ would be taken for a host or a database, and named in errors.
        if value is not None and not ADDRESS.fullmatch(value.get_secret_value()):
            raise ValueError("it is no URL; write %2F, %40 and %3A for a /, @ or : in a password")
        return value

    def required(self, name: str) -> str:
        """The value of one setting as text, or a clear error naming the variable that is missing."""
        value = getattr(self, name)
        if value is None:
            raise SettingsError(
                f"TEJIDO_{name.upper()} is not set.",
                hint="Start the stack with `tejido up`, or set it (docs/reference/settings.md).",
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    def metrics_token(self) -> str | None:
        """What a scraper of metrics must show; None where nobody may read them.

        Raises:
            SettingsError: the file is missing, or empty, which would let everybody in.
        """
        if self.metrics_token_file is None:
            return None
        try:
            token = self.metrics_token_file.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"TEJIDO_METRICS_TOKEN_FILE cannot be read: {error.strerror}.", hint="See docs/how-to/monitoring.md."
            ) from None
        if len(token) < MIN_TOKEN_CHARS:
            raise SettingsError(
                f"TEJIDO_METRICS_TOKEN_FILE holds {len(token)} characters.",
                hint=f"Put a random token of at least {MIN_TOKEN_CHARS} into it: `openssl rand -hex 32`.",
            )
        return token

    def readers(self) -> list[Bucket]:
        """Buckets whose pictures browsers may load where they lie, with read-only keys; none where none are named.

        Raises:
            SettingsError: the file cannot be read.
        """
        if self.readers_file is None:
            return []
        try:
            return [Bucket(**entry) for entry in json.loads(self.readers_file.read_text())]
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(
                f"TEJIDO_READERS_FILE cannot be read ({type(error).__name__}).", hint="See docs/how-to/publishing.md."
            ) from None

    def platform_bucket(self, bucket: str) -> Bucket:
        """One of this process's own buckets: ``data``, ``mlflow`` or ``checkpoints`` on the platform."""
        return Bucket(
            endpoint=self.required("s3_endpoint"),
            access_key=self.required("s3_access_key"),
            secret_key=SecretStr(self.required("s3_secret_key")),
            bucket=bucket,
            region=self.s3_region,
        )

    @property
    def features_dir(self) -> Path:
        """Where the features of frozen towers are cached."""
        return self.cache_dir or self.state_dir / "cache"


def load_settings(env_file: Path | None = None) -> Settings:
    """Read the settings anew; the environment wins over ``env_file``, by default the one of ``TEJIDO_ENV_FILE``.

    Raises:
        SettingsError: the file is missing or a value cannot be read.
    """
    named = os.environ.get("TEJIDO_ENV_FILE")
    env_file = env_file or (Path(named) if named else None)
    if env_file and not env_file.is_file():
        raise SettingsError(f"The settings file {env_file} does not exist.", hint="Run `tejido up`.")
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        details = "; ".join(f"TEJIDO_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings cannot be read: {details}.", hint="See docs/reference/settings.md.") from None
    except UnreadableSetting as error:  # a variable that should hold JSON
        raise SettingsError(f"Settings cannot be read: {error}.", hint="See docs/reference/settings.md.") from None


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
