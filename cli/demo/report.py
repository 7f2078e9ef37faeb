"""The demo's report: what every stage produced, in the shape that DESIGN fixes, and a summary for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.panel import Panel

from catalog.product import SPLITS
from cli.airflow import DagRun
from cli.federation.options import rounds_table
from cli.search import hits_table


@dataclass(frozen=True)
class Outcome:
    """What the pipeline's tasks returned, by stage."""

    runs: list[DagRun]
    catalogue: Mapping[str, Any]
    federation: Mapping[str, Any]
    promotion: Mapping[str, Any]
    index: Mapping[str, Any]
    searches: list[dict[str, Any]]
    seconds: Mapping[str, float]
    peak_rss_mb: float


def make_report(source: str, outcome: Outcome) -> dict[str, Any]:
    """The report as one JSON-able dictionary."""
    catalogue, federation, promotion = outcome.catalogue, outcome.federation, outcome.promotion
    return {
        "source": source,
        "products": {key: catalogue[key] for key in ("read", "kept", "rejected")},
        "reject_reasons": catalogue["reject_reasons"],
        "split": {split: catalogue["split"][split] for split in SPLITS},
        "clients": catalogue["clients"],
        "airflow": [asdict(run) for run in outcome.runs],
        "federation": {key: federation[key] for key in ("run_id", "strategy", "trainable_parameters", "rounds")},
        "mlflow": {
            **{key: federation["mlflow"][key] for key in ("tracking_uri", "run_id", "model", "version")},
            "alias": promotion["alias"],
        },
        "recall_at_10": {
            **{key: federation["recall_at_10"][key] for key in ("gallery", "queries", "zero_shot", "challenger")},
            "champion": promotion["recall_at_10"]["champion"],
        },
        "promotion": {key: promotion[key] for key in ("promoted", "reason")},
        "index": {key: outcome.index[key] for key in ("version", "products")},
        "searches": outcome.searches,
        "seconds": {key: round(value, 1) for key, value in outcome.seconds.items()},
        "peak_rss_mb": round(outcome.peak_rss_mb),
    }


def summary(report: Mapping[str, Any]) -> Group:
    """The report as a person would want to read it."""
    return Group(
        _figures(report),
        rounds_table(report["federation"]["rounds"]),
        *[hits_table(search) for search in report["searches"]],
    )


def _figures(report: Mapping[str, Any]) -> Panel:
    products, recall = report["products"], report["recall_at_10"]
    model, index = report["mlflow"], report["index"]
    lines = [
        f"Catalogue   {products['kept']:,} of {products['read']:,} products kept, {products['rejected']:,} rejected"
        + _reasons(report["reject_reasons"]),
        "Clients     " + ", ".join(f"{c['name']} {c['products']:,}" for c in report["clients"]),
        f"Recall@10   {recall['zero_shot']:.3f} zero shot → {recall['champion']:.3f} champion "
        f"({recall['queries']:,} titles, gallery of {recall['gallery']:,})",
        f"Model       {model['model']} version {model['version']}: {report['promotion']['reason']}",
        f"Index       version {index['version']}, {index['products']:,} products",
        f"Took        {report['seconds']['total']:.0f} s, {report['peak_rss_mb'] / 1024:.1f} GB at most",
    ]
    return Panel("\n".join(lines), title="Done", title_align="left", expand=False)


def _reasons(reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()) if count)
    return f" ({listed})" if listed else ""
