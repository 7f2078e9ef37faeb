"""What the platform's stores hold before anybody uses them: databases, tables, buckets, the administrator."""

from __future__ import annotations

import json
from pathlib import Path

from catalog.databases import make_databases
from catalog.migrations import upgrade
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from core.names import PLATFORM_BUCKETS
from core.settings import Settings
from deployment.platform import ADMIN_PASSWORD
from security.passwords import hash_password

ADMIN = "admin"
ROLES = ("admin", "operator", "reader")


def prepare_stores(settings: Settings, share: Path) -> None:
    """Bring all of it up to date; harmless when it is.

    Raises:
        DatabaseUnreachable: PostgreSQL did not answer.
        DatabaseRefused: a newer Tejido was here: its tables are left as they are.
        CatalogError: the object store did not answer.
    """
    make_databases((share / "superuser").read_text(), json.loads((share / "passwords.json").read_text()))
    upgrade(settings.required("postgres_dsn"))
    for bucket in PLATFORM_BUCKETS:
        S3ObjectStore(settings.platform_bucket(bucket)).ensure_bucket()
    ensure_admin(settings.required("postgres_dsn"), (share / ADMIN_PASSWORD).read_text())


def ensure_admin(dsn: str, password: str) -> None:
    """Create the administrator at the first start; a password that was changed since stays."""
    with CatalogueStore(dsn) as store:
        if store.user(ADMIN) is None:
            store.put_user(ADMIN, hash_password(password), ROLES, actor="set-up")
