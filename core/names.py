"""Names that several parts rely on: databases, buckets, and clients that nobody named."""

from __future__ import annotations

import re

from core.errors import ClientNameInvalid

# Bucket names are part of host names in S3, and these names are folders too.
CLIENT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
RESERVED = frozenset(("api", "coordinator", "models", "worker"))
"""The platform's own: a client of this name would share a cache folder, a volume or a secret with it."""

DATABASES = {"catalog": "catalog", "mlflow_db": "mlflow", "airflow": "airflow"}
"""Database → the role that owns it; each service can open its own database only."""
API_ROLE = "catalog_api"
"""The role under which the API uses the catalogue's database: it owns nothing there."""
ROLES = (*DATABASES.values(), API_ROLE)
"""All that log in to PostgreSQL, but for its superuser."""
PLATFORM_BUCKETS = ("data", "mlflow", "checkpoints")
FIRST = (
    "aurora", "boreal", "cobre", "duna", "estela", "fresno", "girasol", "horizonte", "indigo", "jacaranda",
)  # fmt: skip


def client_names(count: int) -> list[str]:
    """``count`` distinct client names, always the same in the same order."""
    return [FIRST[i] if i < len(FIRST) else f"client-{i + 1}" for i in range(count)]


def client_bucket_name(client: str) -> str:
    """The only bucket of a client, and the word for its object store."""
    return f"client-{client}"


def checked_name(name: str, *, of: str = "a client") -> str:
    """The name, if buckets, hosts and folders can bear it.

    Raises:
        ClientNameInvalid: they cannot.
    """
    if not CLIENT_NAME.fullmatch(name):
        raise ClientNameInvalid(
            f"{name!r} cannot be the name of {of}.", hint="Use a-z, 0-9 and - (at most 42 characters)."
        )
    return name


def checked_client_name(name: str) -> str:
    """The name, if a client can bear it: as `checked_name`, and none that the platform has for itself.

    Raises:
        ClientNameInvalid: it cannot.
    """
    if checked_name(name) in RESERVED:
        raise ClientNameInvalid(f"{name!r} is the platform's own name.", hint="Choose another one.")
    return name
