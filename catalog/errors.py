"""What can go wrong with the catalogue.

TejidoError
└── CatalogError
    ├── SourceUnknown, SourceMissing, ColumnsMissing, HubUnreachable      where products come from
    ├── CatalogueEmpty, CatalogueMissing, VersionInvalid, ManifestInvalid what was made of them
    ├── PartitionInvalid, EmptyPartition                                  who holds which
    ├── KeyInvalid, ObjectMissing, StorageUnreachable, StorageRefused     the object store
    ├── ShardDamaged                                                      one file of products
    ├── DatabaseUnreachable, DatabaseRefused, DatabaseNotReady            PostgreSQL
    ├── OfferInvalid, ClientRemoved                                       what a client offers to publish
    ├── FilterInvalid                                                     a question about products
    └── VectorsInvalid, IndexVersionMissing, IndexStateInvalid, IndexRecallLow   the vector index
"""

from __future__ import annotations

from core.errors import EX_TEMPFAIL, TejidoError


class CatalogError(TejidoError):
    """Anything of this package."""

    code = "catalog.error"


class SourceUnknown(CatalogError):
    """The source spec names no source that exists."""

    code = "catalog.source_unknown"


class SourceMissing(CatalogError):
    """The folder, its styles.csv or the hub's data set is not there."""

    code = "catalog.source_missing"


class SourceUnreadable(CatalogError):
    """The source's table is there but is no table."""

    code = "catalog.source_unreadable"


class ColumnsMissing(CatalogError):
    """The table lacks columns that a product needs."""

    code = "catalog.columns_missing"


class HubUnreachable(CatalogError):
    """The Hugging Face hub did not answer."""

    code = "catalog.hub_unreachable"
    exit_status = EX_TEMPFAIL


class CatalogueEmpty(CatalogError):
    """Nothing, or too little, was left after cleaning; what was live stays live."""

    code = "catalog.empty"


class CatalogueMissing(CatalogError):
    """No catalogue has been loaded yet, or not the version asked for."""

    code = "catalog.missing"


class VersionInvalid(CatalogError):
    """A catalogue version is no safe name, or was begun from another source."""

    code = "catalog.version_invalid"


class ManifestInvalid(CatalogError):
    """A manifest cannot be read."""

    code = "catalog.manifest_invalid"


class PartitionInvalid(CatalogError):
    """The partition spec, or the number of clients, makes no sense."""

    code = "catalog.partition_invalid"


class EmptyPartition(CatalogError):
    """A client would get no product at all."""

    code = "catalog.partition_empty"


class KeyInvalid(CatalogError):
    """An object's key could leave its store or cannot be stored."""

    code = "catalog.key_invalid"


class ObjectMissing(CatalogError):
    """The object store has no such object."""

    code = "catalog.object_missing"


class StorageUnreachable(CatalogError):
    """The object store did not answer."""

    code = "catalog.storage_unreachable"
    exit_status = EX_TEMPFAIL


class StorageRefused(CatalogError):
    """The object store answered, and refused."""

    code = "catalog.storage_refused"


class ShardDamaged(CatalogError):
    """A shard's bytes are not those of its manifest."""

    code = "catalog.shard_damaged"


class DatabaseUnreachable(CatalogError):
    """PostgreSQL did not answer."""

    code = "catalog.database_unreachable"
    exit_status = EX_TEMPFAIL


class DatabaseRefused(CatalogError):
    """PostgreSQL answered, and refused."""

    code = "catalog.database_refused"


class AuditLogBroken(CatalogError):
    """An entry of the audit log was changed, taken out or put in, or some were cut off."""

    code = "catalog.audit_log_broken"


class DatabaseNotReady(CatalogError):
    """The database lacks the tables: its migrations have not run."""

    code = "catalog.database_not_ready"


class ClientRemoved(CatalogError):
    """A product of a client that was removed meanwhile."""

    code = "catalog.client_removed"


class OfferInvalid(CatalogError):
    """What a client offers to publish is no product as ours are."""

    code = "catalog.offer_invalid"


class FilterInvalid(CatalogError):
    """A filter, page or count cannot be understood."""

    code = "catalog.filter_invalid"


class VectorsInvalid(CatalogError):
    """Vectors have another shape than the index, are not finite or not of length one."""

    code = "catalog.vectors_invalid"


class IndexVersionMissing(CatalogError):
    """There is no such index version, or none is live."""

    code = "catalog.index_missing"


class IndexStateInvalid(CatalogError):
    """An index version is not in the state that the step needs."""

    code = "catalog.index_state"


class IndexRecallLow(CatalogError):
    """The new index version finds too little of what exact search finds; it does not go live."""

    code = "catalog.index_recall"
