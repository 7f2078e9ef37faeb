"""Logs a catalogue that became live as a run of the experiment ``catalog-etl``."""

from __future__ import annotations

import json
from typing import Any

from catalog.census import take_census
from catalog.manifest import manifest_of
from cli.catalog.options import data_store
from core.settings import Settings


def log_catalogue(settings: Settings, summary: dict[str, Any]) -> str:
    """Log parameters, counts, the summary itself and a plot of the partition; returns MLflow's run id."""
    # Imported late: MLflow takes two seconds, and the catalogue's other commands do without it.
    from server.plots import FOLDER, PARTITION, partition_plot
    from server.tracking import Tracker

    counts = {f"products_{key}": float(summary[key]) for key in ("read", "kept", "rejected")}
    splits = {f"split_{name}": float(products) for name, products in summary["split"].items()}
    rejects = {f"rejected_{reason}": float(count) for reason, count in summary["reject_reasons"].items()}
    clients = {f"client_{client['name']}": float(client["products"]) for client in summary["clients"]}
    store, tracker = data_store(settings), Tracker.of(settings)
    run_id = tracker.log_etl(
        summary["version"],
        params={key: summary[key] for key in ("version", "source", "dataset", "seed", "partition")},
        metrics={**counts, **splits, **rejects, **clients},
        summary=json.dumps(summary, indent=2, ensure_ascii=False),
    )
    # A catalogue may be published that nobody holds.
    if summary["partition"] is not None:
        census = take_census(store, manifest_of(store, summary["version"]))
        tracker.log_files(run_id, {PARTITION: partition_plot(census)}, folder=FOLDER)
    return run_id
