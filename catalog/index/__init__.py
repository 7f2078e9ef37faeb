"""The vector index: versions of it in PostgreSQL, one of them live, and search."""

from catalog.index.records import BEGINNING, Answer, Hit, IndexVersion, Place
from catalog.index.store import IndexStore
from catalog.index.variety import ANYTHING, Variety

__all__ = ["ANYTHING", "BEGINNING", "Answer", "Hit", "IndexStore", "IndexVersion", "Place", "Variety"]
