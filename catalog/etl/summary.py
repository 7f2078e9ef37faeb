"""What a step tells the next and the person who looks: small, and plain JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from catalog.manifest import CatalogueManifest, count_shards


def summary(manifest: CatalogueManifest) -> dict[str, Any]:
    """A version in numbers, without its shards."""
    return {
        "version": manifest.version,
        "source": manifest.source,
        "dataset": manifest.dataset,
        "seed": manifest.seed,
        "read": manifest.read,
        "kept": manifest.kept,
        "rejected": manifest.rejected,
        "reject_reasons": dict(manifest.reject_reasons),
        "reject_examples": [asdict(example) for example in manifest.reject_examples],
        "split": {split: manifest.products(split) for split in manifest.splits},
        "partition": manifest.partition,
        "clients": [asdict(client) for client in manifest.clients],
        **count_shards(manifest.all_shards, manifest.version),
        "content_sha256": manifest.content_sha256,
    }
