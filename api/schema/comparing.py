"""One query against two model versions, side by side."""

from __future__ import annotations

import strawberry
from anyio.to_thread import run_sync

from api.arguments import checked_query
from api.comparison import ComparedHit, ComparedSide
from api.schema.answering import counted
from api.schema.arguments import FileFilter
from api.schema.operating import Request, slow_threads
from api.schema.permissions import operable
from api.schema.types import FashionFile
from catalog.filters import ProductFilter


@strawberry.type(description="One product that one of two versions found.")
class ComparedResult:
    """A product with its rank here and there."""

    rank: int = operable(description="Its rank, from 1.")
    score: float = operable(description="Cosine similarity; comparable within one version only.")
    moved_from: int | None = operable(
        description="Its rank in the other version; null: new, as it is not among the first 100 there."
    )
    product: FashionFile = operable(description="The product.")

    @classmethod
    def of(cls, hit: ComparedHit) -> ComparedResult:
        """The same, as GraphQL shows it."""
        return cls(rank=hit.rank, score=hit.score, moved_from=hit.moved_from, product=FashionFile.of(hit.row))


@strawberry.type(description="What one of two versions found.")
class ComparedVersion:
    """One side."""

    model_version: str = operable(description="The model that read the query and made the index.")
    model_hash: str = operable(description="Content hash of that model.")
    index_version: int = operable(description="The index that was searched.")
    index_state: str = operable(description="live or retired.")
    catalogue_version: str = operable(description="The catalogue whose products it holds.")
    exact: bool = operable(description="Whether every product was compared.")
    recall: float | None = operable(description="Share of the ten nearest that such searches find, as last measured.")
    matching: int = operable(description="About how many products pass the filter.")
    hits: list[ComparedResult] = operable(description="Best first.")

    @classmethod
    def of(cls, side: ComparedSide) -> ComparedVersion:
        """The same, as GraphQL shows it."""
        return cls(
            model_version=side.index.model_version,
            model_hash=side.index.model_hash,
            index_version=side.index.id,
            index_state=side.index.state,
            catalogue_version=side.index.catalogue_version,
            exact=side.answer.is_exact,
            recall=side.answer.expected_recall,
            matching=side.answer.passing,
            hits=[ComparedResult.of(hit) for hit in side.hits],
        )


async def compare_search(
    info: Request, text: str, versions: list[str], first: int = 10, filter: FileFilter | None = None
) -> list[ComparedVersion]:
    """What each version finds."""
    words, first = checked_query(text), counted(info, first, lists=max(len(versions), 1))
    wanted, services = filter.checked() if filter else ProductFilter(), info.context.services

    identity = info.context.identity

    def compare() -> list[ComparedSide]:
        services.search_limits.admit(identity.subject if identity else "")
        return services.comparison.compare(words, versions, first=first, wanted=services.vocabulary.checked(wanted))

    with services.metrics.operation(info.field_name):
        # It may load a model: not where searches wait for a thread.
        return [ComparedVersion.of(side) for side in await run_sync(compare, limiter=slow_threads)]


@strawberry.type
class ComparingQueries:
    """The part of the root that compares."""

    compare_search: list[ComparedVersion] = operable(
        resolver=compare_search,
        description="One query against two model `versions` whose indexes are still there, live or retired: what each "
        "finds, and where each product stood in the other.",
    )
