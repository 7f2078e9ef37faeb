"""Vectors that lie together as pictures of a catalogue do: by kind, colour and gender, with noise of their own."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ATTRIBUTES, Condition, ProductFilter
from catalog.store import FashionFile

COLUMNS = {
    "gender": "gender", "masterCategory": "master_category", "subCategory": "sub_category",
    "articleType": "article_type", "baseColour": "base_colour", "season": "season", "year": "year", "usage": "usage",
}  # fmt: skip
WEIGHTS = {
    "gender": 0.5, "master_category": 0.6, "sub_category": 0.6, "article_type": 0.9, "base_colour": 0.6, "season": 0.2,
    "year": 0.1, "usage": 0.2,
}  # fmt: skip
"""How far apart the values of an attribute lie."""
STYLE_DIMENSIONS, STYLE, NOISE = 64, 0.12, 0.5

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class SyntheticCatalogue:
    """Products with the attributes of real ones, and a vector each."""

    files: list[FashionFile]
    vectors: Vectors
    """(N, D) unit vectors; row i is product i."""
    queries: Vectors
    """(N, D) unit vectors: row i is what somebody asks who looks for something like product i."""

    def passing(self, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Numbers of the products that pass."""
        found = np.ones(len(self.files), bool)
        for condition in conditions:
            found &= np.array([condition.accepts(getattr(file, condition.column)) for file in self.files])
        return np.flatnonzero(found)


def synthetic_catalogue(fashion: Path, *, products: int, dimension: int, seed: int = 0) -> SyntheticCatalogue:
    """Attributes drawn from real products, vectors made of them."""
    draws = np.random.default_rng(seed)
    real = list(_styles(fashion))
    chosen = [real[number] for number in draws.integers(0, len(real), products)]
    centres = np.zeros((products, dimension))
    for column, weight in WEIGHTS.items():
        values = [row.get(column) for row in chosen]
        places = {value: number for number, value in enumerate(sorted(set(values), key=str))}
        table = draws.normal(size=(len(places), dimension)) * weight / dimension**0.5
        centres += table[[places[value] for value in values]]
    basis = draws.normal(size=(STYLE_DIMENSIONS, dimension)) / dimension**0.5
    centres += draws.normal(size=(products, STYLE_DIMENSIONS)) @ basis * STYLE
    vectors, queries = (_unit(centres + draws.normal(size=centres.shape) * NOISE / dimension**0.5) for _ in range(2))
    files = [_file(number, row) for number, row in enumerate(chosen)]
    return SyntheticCatalogue(files, vectors, queries)


def filters_of(catalogue: SyntheticCatalogue, share: float, *, attributes: int, seed: int = 0) -> ProductFilter:
    """The filter by so many attributes of one product whose share of all products is nearest to ``share``."""
    draws = np.random.default_rng(seed)
    best, distance = ProductFilter(), 9.0
    columns = {name: np.array([getattr(file, name) for file in catalogue.files], object) for name in ATTRIBUTES[:-1]}
    for _ in range(300):
        row = int(draws.integers(len(catalogue.files)))
        names = draws.choice(ATTRIBUTES[:-1], attributes, replace=False).tolist()
        if any(columns[name][row] is None for name in names):
            continue
        passing = np.logical_and.reduce([columns[name] == columns[name][row] for name in names]).mean()
        if abs(np.log(passing / share)) < distance:
            distance = abs(np.log(passing / share))
            best = dataclasses.replace(ProductFilter(), **{name: columns[name][row] for name in names})
    return best


def _styles(fashion: Path) -> Iterator[dict[str, str | int | None]]:
    with (fashion / "styles.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            values: dict[str, str | int | None] = {ours: row[theirs] or None for theirs, ours in COLUMNS.items()}
            values["year"] = int(float(row["year"])) if row["year"] else None
            yield values


def _file(number: int, row: dict[str, str | int | None]) -> FashionFile:
    return FashionFile(
        id=number,
        filename=f"{number}.jpg",
        s3_path=f"s3://data/synthetic#{number}",
        product_display_name=f"{row['base_colour']} {row['article_type']}",
        dataset="synthetic",
        owner=None,
        split="train",
        image_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        created_at=datetime.now(UTC),
        **row,  # type: ignore[arg-type]
    )


def _unit(vectors: NDArray[np.float64]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
