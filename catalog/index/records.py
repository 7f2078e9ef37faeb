"""What the index says about itself, and what a search answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from catalog.filters import Condition, Value

State = Literal["building", "verified", "live", "retired"]
Route = Literal["exact", "graph", "partial_graph"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Graph:
    """An HNSW graph over the products that have some values; over all products, where ``values`` is empty."""

    values: tuple[tuple[str, Value], ...]
    """Columns and the value that its products have of each: one, or two that many have together."""
    products: int
    ef: int
    """The smallest ``hnsw.ef_search`` tried with which it finds what it should."""
    recall: float | None = None
    """Recall@10 against exact search among its products, with that; None until verified."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What its products have in common."""
        return tuple(Condition(column, (value,)) for column, value in self.values)

    @classmethod
    def of_json(cls, graph: Mapping[str, Any]) -> Graph:
        """The same, from what `index_versions` keeps of it."""
        values = tuple((str(column), value) for column, value in graph["values"])
        return _of(cls, {**graph, "values": values})


@dataclass(frozen=True, slots=True)
class RecallBucket:
    """How well filtered searches of one range of selectivity found what exact search finds."""

    share_up_to: float | None
    """The filters let through at most this share of all products, and more than the bucket before; None: no filter."""
    searches: int
    recall_at_10: float
    short: int
    """Searches that gave fewer products than there are."""


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """All products of one catalogue version in the vector space of one model version.

    ``building`` and ``verified`` versions answer no query; one version at most is ``live``; ``retired`` ones were.
    """

    id: int
    model_name: str
    model_version: str
    model_hash: str
    catalogue_version: str
    dimension: int
    state: State
    products: int | None
    """Number of vectors; None while they are being added."""
    recall_at_10: float | None
    """Share of exact search's first ten that the HNSW index finds; None until verified."""
    created_at: datetime
    live_at: datetime | None
    added: int = 0
    """Vectors so far, while it is built."""
    expected: int | None = None
    """Vectors that it will have, as its builder said."""
    graphs: tuple[Graph, ...] = ()
    recall: tuple[RecallBucket, ...] = ()

    @classmethod
    def of_row(cls, **columns: Any) -> IndexVersion:
        """What a row of ``index_versions`` says."""
        graphs = tuple(Graph.of_json(graph) for graph in columns.pop("graphs"))
        recall = tuple(_of(RecallBucket, bucket) for bucket in columns.pop("recall"))
        return cls(**columns, graphs=graphs, recall=recall)


@dataclass(frozen=True, slots=True)
class Hit:
    """One product found; ``score`` is the cosine similarity, -1 to 1."""

    product_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk through the products of a search goes on.

    Comparing all gives products by score, equal ones by id: the last says which came before it. A graph may pass over a
    product that is nearer than the last that it gives, so after its pages the products themselves are remembered, and
    what was passed over comes on a later page.
    """

    last: Hit | None = None
    """Products with a better score, or the same and a smaller or this id, were shown."""
    shown: tuple[int, ...] = ()
    """Ids of others that were shown, or shall not be."""

    def after(self, hits: Sequence[Hit], *, is_exact: bool) -> Place:
        """The place when these were shown too."""
        if not hits:
            return self
        if is_exact:
            return replace(self, last=hits[-1])
        return replace(self, shown=(*self.shown, *(hit.product_id for hit in hits)))


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, all in the vector space of ``version``."""

    hits: list[Hit]
    version: IndexVersion
    is_exact: bool
    """Every product that passes the filter was compared; otherwise an HNSW graph chose."""
    has_more: bool
    """There are more hits after these."""
    began: Place = BEGINNING
    """The place at which it began."""
    route: Route = "exact"
    passing: int = 0
    """About how many products pass the filter; exact for one attribute."""
    is_cut: bool = False
    """Only the nearest of a window were looked at, and there are products beyond it."""

    def place_after(self, number: int) -> Place:
        """Where the walk goes on after the hit of this number, from 0."""
        return self.began.after(self.hits[: number + 1], is_exact=self.is_exact)

    @property
    def expected_recall(self) -> float | None:
        """Share of the ten nearest that such a search finds: 1 where all were compared, else as last measured.

        None where searches of this selectivity were not measured.
        """
        if self.is_exact:
            return 1.0
        return next((bucket.recall_at_10 for bucket in self._buckets()), None)

    def _buckets(self) -> list[RecallBucket]:
        """Those that it falls into, the narrowest first."""
        products = self.version.products or 0
        if self.passing >= products:
            return [bucket for bucket in self.version.recall if bucket.share_up_to is None]
        return [
            bucket
            for bucket in self.version.recall
            if bucket.share_up_to is not None and self.passing <= bucket.share_up_to * products
        ]


def _of(record: type[T], values: Mapping[str, Any]) -> T:
    """A record of what JSON holds; fields of other versions are passed over."""
    known = {field.name for field in fields(record)}  # type: ignore[arg-type]  # Both are dataclasses.
    return record(**{name: value for name, value in values.items() if name in known})
