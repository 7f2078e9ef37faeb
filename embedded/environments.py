"""What each process is told: files of TEJIDO_* variables that only their owner reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from core.files import write_secret
from core.settings import Bucket, ClientBucket, Settings
from embedded.state import StateFolder
from security.bundles import bundle_key, verifying_key
from security.policy import template


def platform_env_path(state: StateFolder) -> Path:
    """The platform's file; processes of the operator are pointed to it by TEJIDO_ENV_FILE."""
    return state.run / "platform.env"


def api_env_path(state: StateFolder) -> Path:
    """The API's file: as the platform's, but for a role of the database that may do what the API does, and no more."""
    return state.run / "api.env"


def client_env_path(state: StateFolder, client: str) -> Path:
    """One client's file; it opens that client's bucket and nothing else."""
    return state.run / f"client-{client}.env"


def client_environment(state: StateFolder, bucket: ClientBucket) -> dict[str, object]:
    """What a client's process is told."""
    return {
        "state_dir": state.root / "clientapps" / bucket.name,
        "cache_dir": state.root / "cache" / bucket.name,
        "receipts_dir": receipts_dir(state, bucket.name),
        "client_name": bucket.name,
        "client_bucket": bucket.bucket,
        "s3_endpoint": bucket.endpoint,
        "s3_access_key": bucket.access_key,
        "s3_secret_key": bucket.secret_key.get_secret_value(),
        "s3_region": bucket.region,
        "policy_file": policy_path(state, bucket.name),
    }


def receipts_dir(state: StateFolder, client: str) -> Path:
    """Where a client's receipts lie, in a folder of its name; those of an older release stay in its cache folder."""
    kept, cached = state.folder("receipts"), state.root / "cache" / client / "receipts"
    return cached if (cached / client).exists() and not (kept / client).exists() else kept


def bundle_key_path(state: StateFolder) -> Path:
    """The key that signs app bundles; made the first time."""
    return bundle_key(state.secrets / "bundle-signing.key")


def policy_path(state: StateFolder, client: str) -> Path:
    """One client's policy, where its own processes find it."""
    return state.folder("policies") / f"{client}.toml"


def first_policy(state: StateFolder, client: str) -> str:
    """What a client's policy begins as: all that this operator signed is allowed, for a year."""
    return template(client, signer=verifying_key(bundle_key_path(state)))


def write_first_policy(state: StateFolder, client: str) -> None:
    """Give a client a policy that has none; one that is there is its own word."""
    if not (path := policy_path(state, client)).exists():
        write_secret(path, first_policy(state, client).encode())


def write_buckets(path: Path, buckets: Sequence[Bucket]) -> None:
    """Write buckets with keys (0600): every client's own, as the operator's ETL fills them, or those of readers."""
    entries = [{**bucket.model_dump(), "secret_key": bucket.secret_key.get_secret_value()} for bucket in buckets]
    write_secret(path, json.dumps(entries, indent=2).encode())


def read_environment(path: Path) -> Settings:
    """The settings in such a file, whatever this process's own environment says."""
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    values = {name.removeprefix("TEJIDO_").lower(): value.strip('"') for name, _, value in pairs}
    # Given values win over the variables of this process, so every one is given.
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **{**defaults, **values})
