"""From a served answer back to what it rests on: index → model version → run → data and clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from catalog.errors import CatalogueMissing, IndexVersionMissing, ObjectMissing
from catalog.index import IndexStore, IndexVersion
from catalog.manifest import CatalogueManifest, manifest_of, manifest_sha256
from catalog.objects import ObjectStore
from core.settings import Settings
from server.client_runs import CLIENT, REASONS
from server.contributions import FATES
from server.index_status import fields_of
from server.stores import open_stores
from server.tracking import CHAMPION, ModelVersion, Run, Tracker

RUN_KEYS = ("strategy", "trainable", "rounds", "seed", "encoding")
TOTALS = ("bytes_up", "bytes_down", "seconds")


def lineage(settings: Settings, *, version: str = CHAMPION, index: int | None = None) -> dict[str, Any]:
    """What a model version was made from, and by whom; what was not recorded (by an older release) is None.

    Args:
        settings: where MLflow, the catalogue and the database are.
        version: number or alias.
        index: an index version instead, as an answer of the API names it: its model is meant.

    Raises:
        ModelMissing: there is no such version.
        IndexVersionMissing: there is no such index version (any more).
    """
    tracker, store = Tracker.of(settings), open_stores(settings).data
    with IndexStore(settings.required("postgres_dsn")) as indexes:
        known = indexes.versions()
    model = tracker.require(version if index is None else _index(known, index).model_version)
    run = tracker.run(model.run_id)
    manifest = _manifest(store, model.catalogue_version)
    nested = {entry.tags.get(CLIENT, entry.name): entry for entry in tracker.nested(run.run_id)}
    return {
        "model": _model(model),
        "indexes": [fields_of(entry) for entry in known if is_built_by(entry, model)],
        "run": _run(run, f"{tracker.uri.rstrip('/')}/{tracker.page(run)}"),
        "data": _data(store, model, run, manifest),
        "clients": _clients(manifest, nested),
    }


def is_built_by(index: IndexVersion, model: ModelVersion) -> bool:
    """Whether it holds this model's vectors; a number alone does not say so, a registry may be begun anew."""
    return (index.model_name, index.model_version) == (model.name, model.version) and (
        not index.model_hash or index.model_hash == model.content_hash
    )


def _index(known: list[IndexVersion], number: int) -> IndexVersion:
    for entry in known:
        if entry.id == number:
            return entry
    raise IndexVersionMissing(
        f"Index version {number} does not exist (any more).", hint="`tejido index status` lists those that do."
    )


def _model(model: ModelVersion) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "aliases": list(model.aliases),
        "preset": model.preset,
        "content_hash": model.content_hash,
        "judgement": model.tags.get("judgement"),
    }


def _run(run: Run, url: str) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "run_key": run.tags.get("run_key"),
        "status": run.status,
        "url": url,
        # The parameters are those of the beginning; a run that went on by newer code has that in its tag.
        "code_version": run.tags.get("code_version") or run.params.get("code_version"),
        "sources_sha256": run.params.get("sources_sha256"),
        "mode": run.params.get("mode"),
        "privacy": run.params.get("privacy"),
        "epsilon": run.metrics.get("epsilon"),
        "started_from": run.params.get("start-from") or None,
        "settings": {key: run.params[key] for key in RUN_KEYS if key in run.params},
        "traffic": {name: run.metrics.get(f"total_{name}") for name in TOTALS},
    }


def _manifest(store: ObjectStore, version: str) -> CatalogueManifest | None:
    try:
        return manifest_of(store, version)
    except CatalogueMissing:
        return None


def _data(store: ObjectStore, model: ModelVersion, run: Run, manifest: CatalogueManifest | None) -> dict[str, Any]:
    recorded = model.tags.get("data_manifest_sha256") or run.params.get("data_manifest_sha256")
    return {
        "catalogue_version": model.catalogue_version,
        "manifest_sha256": recorded,
        "state": _state(store, model.catalogue_version, recorded),
        "source": manifest.source if manifest else None,
        "partition": manifest.partition if manifest else None,
        "products": manifest.kept if manifest else None,
    }


def _state(
    store: ObjectStore, version: str, recorded: str | None
) -> Literal["unchanged", "changed", "removed", "not recorded"]:
    """Whether the manifest is still what the run was told; old catalogues are removed once two newer ones are live."""
    try:
        found = manifest_sha256(store, version)
    except ObjectMissing:
        return "removed"
    return "not recorded" if recorded is None else "unchanged" if found == recorded else "changed"


def _clients(manifest: CatalogueManifest | None, runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    held = {client.name: client.products for client in manifest.clients} if manifest else {}
    return [_client(name, held.get(name), runs.get(name)) for name in sorted({*held, *runs})]


def _client(name: str, products: int | None, run: Run | None) -> dict[str, Any]:
    metrics: Mapping[str, float] = run.metrics if run else {}
    rounds = {fate: _whole(metrics.get(f"total_{fate}")) for fate in FATES}
    return {
        "name": name,
        "products": products,
        "run_id": run.run_id if run else None,
        "rounds": rounds,
        "bytes_up": _whole(metrics.get("total_bytes_up")),
        "bytes_down": _whole(metrics.get("total_bytes_down")),
        "reasons": run.tags.get(REASONS, "").splitlines() if run else [],
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
