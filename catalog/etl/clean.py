"""Step two: judge every row, split what is left, write it as shards and a manifest that is not live yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from catalog.cleaning import Rejected, clean, product_of
from catalog.errors import CatalogueEmpty
from catalog.etl.raw import RawManifest, raw_manifest, raw_rows
from catalog.etl.summary import summary
from catalog.manifest import CatalogueManifest, RejectExample, manifest_of, published_manifest, version_key
from catalog.objects import ObjectStore, delete_all
from catalog.product import SPLITS
from catalog.shards import PRODUCT_SCHEMA, Shard, ShardWriter, row_of
from catalog.splits import assign_splits
from core.progress import NoProgress, Progress, track

EXAMPLES = 10
log = structlog.get_logger()


@dataclass(slots=True)
class _Judgement:
    """Which rows were kept (one byte a row), and why the others were not."""

    kept: bytearray
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[RejectExample] = field(default_factory=list)

    def reject(self, rejected: Rejected) -> None:
        self.reasons[rejected.reason.value] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(RejectExample(rejected.row, rejected.id, rejected.reason.value, rejected.detail[:200]))

    def __str__(self) -> str:
        rejected = self.reasons.total()
        if not rejected:
            return f"All {len(self.kept):,} products kept."
        first = self.examples[0]
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common())
        return (
            f"{rejected:,} of {len(self.kept):,} products rejected ({reasons}); "
            f"first: row {first.row}, id {first.id or 'none'}, {first.detail}."
        )


def clean_and_split(version: str, *, store: ObjectStore, progress: Progress | None = None) -> dict[str, Any]:
    """Clean and split what `obtain` got; does nothing when this version is cleaned already.

    Two passes over the raw shards: the first decodes and judges, the second writes. Memory is constant but for some 200
    bytes a product.

    Returns:
        The summary of the version: ``read``, ``kept``, ``rejected``, ``reject_reasons``, ``split`` and so on.

    Raises:
        CatalogueMissing: `obtain` has not run.
        CatalogueEmpty: nothing was kept, or too little for three splits.
    """
    raw = raw_manifest(store, version)
    if store.exists(version_key(version)):
        return summary(manifest_of(store, version))
    judgement = _Judgement(bytearray(raw.rows))
    splits = assign_splits(_judged(store, raw, judgement, progress or NoProgress()), seed=raw.seed)
    log.info("cleaned", version=version, outcome=str(judgement))
    _check_enough(splits, judgement)
    manifest = CatalogueManifest(
        version=version,
        source=raw.source,
        dataset=raw.dataset,
        seed=raw.seed,
        read=raw.rows,
        kept=len(splits),
        rejected=judgement.reasons.total(),
        reject_reasons=dict(judgement.reasons.most_common()),
        reject_examples=tuple(judgement.examples),
        splits=_write(store, raw, judgement, splits),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    store.put(version_key(version), manifest.to_json())
    return summary(manifest)


def _judged(
    store: ObjectStore, raw: RawManifest, judgement: _Judgement, progress: Progress
) -> Iterator[tuple[str, str | None]]:
    """Name and article type of each product that is kept; fills ``judgement`` on the way."""
    rows = track(raw_rows(store, raw), progress, "cleaning", total=raw.rows)
    for place, judged in enumerate(clean(rows)):
        if isinstance(judged, Rejected):
            judgement.reject(judged)
        else:
            judgement.kept[place] = 1
            yield judged.product_display_name, judged.article_type


def _check_enough(splits: list[str], judgement: _Judgement) -> None:
    empty = [split for split in SPLITS if split not in set(splits)]
    if empty:
        raise CatalogueEmpty(
            f"{len(splits):,} products are too few: {', '.join(empty)} would be empty. {judgement}",
            hint="Nothing live was changed. Take a source with at least ten usable products.",
        )


def _write(
    store: ObjectStore, raw: RawManifest, judgement: _Judgement, splits: list[str]
) -> dict[str, tuple[Shard, ...]]:
    """Write the kept rows to the shards of their splits; those that the live catalogue has are not stored again."""
    live = published_manifest(store)
    kept = (row for row, is_kept in zip(raw_rows(store, raw), judgement.kept, strict=True) if is_kept)
    with ExitStack() as stack:
        writers = {}
        for split in SPLITS:
            delete_all(store, f"{split}/{raw.version}/")
            known = live.splits[split] if live else ()
            writer = ShardWriter(store, f"{split}/{raw.version}", PRODUCT_SCHEMA, known=known)
            writers[split] = stack.enter_context(writer)
        for row, split in zip(kept, splits, strict=True):
            writers[split].add(row_of(product_of(row)))
    return {split: tuple(writer.shards) for split, writer in writers.items()}
