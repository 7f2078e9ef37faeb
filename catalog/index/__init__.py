"""The vector index: versions of it in PostgreSQL, one of them live, and search."""

from catalog.index.records import Answer, Hit, IndexVersion
from catalog.index.store import IndexStore

__all__ = ["Answer", "Hit", "IndexStore", "IndexVersion"]
