"""What the platform needs in its own stores before anybody uses them: tables and buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.settings import Bucket
from embedded.service import Steps


@dataclass(frozen=True, kw_only=True)
class CatalogueStores:
    """A step of the start, not a process: migrations of the catalogue's database, and every bucket."""

    dsn: str
    buckets: Sequence[Bucket]
    needs: tuple[str, ...]
    name: str = "Catalogue tables and buckets"
    slug: str = "catalogue"

    def run(self, steps: Steps) -> None:  # noqa: ARG002 - every step is run alike
        """Bring tables up to date and make missing buckets; harmless when there is nothing to do."""
        # Imported late: boto3 and alembic take a second that the services can use to start.
        from catalog.migrations import upgrade

        upgrade(self.dsn)
        ensure_buckets(self.buckets)


def ensure_buckets(buckets: Sequence[Bucket]) -> None:
    """Make those that are missing."""
    from catalog.objects import S3ObjectStore

    for bucket in buckets:
        S3ObjectStore(bucket).ensure_bucket()
