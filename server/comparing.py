"""Two model versions side by side on the live catalogue's test queries, for people who decide between them.

The second, B, is held against the first, A: a difference above zero is B's gain. Intervals come from resampling the
queries, the same for both models; those of groups are widened for their number, as in judgement.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.shards import read_rows
from core.progress import NoProgress, Progress
from core.settings import Settings
from federation.comparison import paired_bootstrap
from federation.evaluation import Retrieval
from server.comparison_report import report_html
from server.court import Court
from server.errors import SameModel
from server.judgement import compare_groups
from server.movements import movements
from server.thumbnails import thumbnails
from server.tracking import ModelVersion, Tracker

ZERO_SHOT = "zero-shot"
"""In place of A: B's model before any training."""
CATEGORIES = ("sub_category", "article_type")
SHOWN = 8
FOLDER = "comparisons"


def compare(settings: Settings, a: str, b: str, *, progress: Progress | None = None) -> tuple[dict[str, Any], str]:
    """Evaluate both on the test split; the report is kept with B's run, and B's page in MLflow links to it.

    Args:
        settings: where MLflow and the catalogue are.
        a: number or alias of a version, or ``zero-shot``.
        b: number or alias of a version.
        progress: told while the gallery is encoded.

    Returns:
        The comparison as JSON-able values, and the report as one HTML page.

    Raises:
        ModelMissing: there is no such version.
        SameModel: both are the same.
        ModelDamaged: one of them was changed after it was registered.
    """
    tracker = Tracker.of(settings)
    second = tracker.require(b)
    first = None if a == ZERO_SHOT else tracker.require(a)
    if first and first.version == second.version:
        raise SameModel(f"{a} and {b} are the same version, {second.version}.", hint="`tejido model list` lists them.")
    court = Court(settings, tracker, progress or NoProgress())
    before, hits_before = court.inspect(first or second, is_trained=first is not None)
    after, hits_after = court.inspect(second)
    gallery = court.gallery(second)
    moved = movements(hits_before, hits_after, gallery.products, gallery.queries["test"], shown=SHOWN)
    result = {
        "a": _described(first, court.manifest.version),
        "b": _described(second, court.manifest.version),
        "catalogue": {"version": court.manifest.version, "gallery": after.gallery, "queries": after.queries},
        **compared(before, after, clients=court.queries_of_clients(second), categories=_categories(court, second)),
        "moved": moved.as_dict(),
    }
    pictures = thumbnails(court.store, court.manifest.shards, gallery.products.ids.tolist(), moved.pictured)
    html = report_html(result, pictures)
    result["report"] = _keep(tracker, result, second, html)
    return result, html


def compared(
    a: Retrieval,
    b: Retrieval,
    *,
    clients: Mapping[str, NDArray[np.int64]],
    categories: Mapping[str, Mapping[str, NDArray[np.int64]]],
) -> dict[str, Any]:
    """Metrics over all queries, and recall@10 by client and by category, each with a paired interval."""
    return {
        "metrics": [
            _metric("recall@1", a.recall_at_1_by_query, b.recall_at_1_by_query),
            _metric("recall@10", a.recall_at_10_by_query, b.recall_at_10_by_query),
            _metric("MRR@10", a.reciprocal_rank_by_query, b.reciprocal_rank_by_query),
        ],
        "clients": _groups(a, b, clients),
        "categories": {by: _groups(a, b, queries) for by, queries in categories.items()},
    }


def _metric(name: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, Any]:
    found = paired_bootstrap(b, a)
    verdict = _verdict(found.lower, found.upper)
    return {"metric": name, "a": float(a.mean()), "b": float(b.mean()), **asdict(found), "verdict": verdict}


def _groups(a: Retrieval, b: Retrieval, queries_of: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Largest group first; those with too few queries only by their number."""
    judged, few = compare_groups(b, a, queries_of)
    rows = [
        {
            "name": group.client,
            "queries": group.queries,
            "a": group.incumbent,
            "b": group.challenger,
            "difference": group.difference,
            "lower": group.lower,
            "upper": group.upper,
            "verdict": _verdict(group.lower, group.upper),
        }
        for group in sorted(judged, key=lambda group: (-group.queries, group.client))
    ]
    return {"judged": rows, "too_few": few}


def _verdict(lower: float, upper: float) -> str:
    return "better" if lower > 0 else "worse" if upper < 0 else "within chance"


def _categories(court: Court, version: ModelVersion) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Attribute → value → positions of the queries whose first test product has it."""
    gallery = court.gallery(version)
    queries, products = gallery.queries["test"], gallery.products
    name_of = dict(zip(products.ids.tolist(), products.names.tolist(), strict=True))
    values: dict[int, dict[str, Any]] = {}
    for row in read_rows(court.store, court.manifest.splits["test"], columns=["id", *CATEGORIES]):
        values.setdefault(int(np.searchsorted(queries, name_of[row["id"]])), row)
    found: dict[str, dict[str, NDArray[np.int64]]] = {}
    for by in CATEGORIES:
        known = {str(row[by]) for row in values.values() if row[by]}
        found[by] = {value: np.array(sorted(q for q, row in values.items() if row[by] == value)) for value in known}
    return found


def _described(version: ModelVersion | None, live_catalogue: str) -> dict[str, Any]:
    if version is None:
        return {"version": ZERO_SHOT, "aliases": [], "run_id": None, "preset": None, "note": "before any training"}
    is_old = version.catalogue_version != live_catalogue
    # A later catalogue may test with what an earlier one trained on.
    note = f"trained on catalogue {version.catalogue_version}, whose split may be another" if is_old else ""
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "run_id": version.run_id,
        "preset": version.preset,
        "note": note,
    }


def _keep(tracker: Tracker, result: Mapping[str, Any], version: ModelVersion, html: str) -> dict[str, str]:
    """Log the report with B's run, and link to it where MLflow shows B."""
    other = result["a"]["version"]
    name = f"{FOLDER}/{other}-against-{version.version}.html"
    tracker.log_text(version.run_id, name, html)
    tracker.log_json(version.run_id, name.replace(".html", ".json"), result)
    page = tracker.page(tracker.run(version.run_id), name)
    link = f"[Compared with {'version ' if other.isdigit() else ''}{other}]({page})"
    # Above the card, each comparison once.
    rest = [line for line in tracker.description(version.version).splitlines() if line != link]
    tracker.describe_version(version.version, "\n".join([link, *([] if rest[:1] == [""] else [""]), *rest]))
    tracker.tag_version(version.version, {f"comparison_with_{other}": page})
    return {"run_id": version.run_id, "artifact": name, "url": f"{tracker.uri.rstrip('/')}/{page}"}
