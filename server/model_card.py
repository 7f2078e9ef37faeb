"""The model card that lies beside every model version, for people."""

from __future__ import annotations

from typing import Any

from catalog.manifest import CatalogueManifest
from federation.config import FederationConfig


def model_card(result: dict[str, Any], config: FederationConfig, manifest: CatalogueManifest) -> str:
    """Markdown: what it is, what it learned from, how well it finds, what it must not be used for."""
    recall, test = result["recall_at_10"], result["test"]
    settings = "\n".join(f"| {key} | {value} |" for key, value in sorted(config.to_run_config().items()))
    rounds = "\n".join(
        f"| {r['round']} | {r['recall_at_10']:.3f} | {r['recall_at_1']:.3f} | {r['mrr']:.3f} | {r['replies']} |"
        f" {r['rejected']} |"
        for r in result["rounds"]
    )
    return f"""# fashion-clip

Preset `{config.preset}`, `{config.trainable}` trained ({result["trainable_parameters"]:,} parameters) by
`{config.strategy}` over the clients' own products.
Files: `trained.safetensors` (data only), `model.json`, `hashes.json`.

| text→image on test | value |
|---|---|
| gallery (all kept products) | {recall["gallery"]} |
| queries (distinct titles) | {recall["queries"]} |
| recall@10 | {recall["challenger"]:.3f} |
| recall@10 before training | {recall["zero_shot"]:.3f} |
| recall@1 | {test["recall_at_1"]:.3f} |
| MRR@10 | {test["mrr"]:.3f} |

Catalogue `{manifest.version}` ({manifest.source}), {len(manifest.clients)} clients, partition `{manifest.partition}`.
Round {result["chosen_round"]} was best on val and is this version.

| round | recall@10 (val) | recall@1 | MRR | replies | rejected |
|---|---|---|---|---|---|
{rounds}

| setting | value |
|---|---|
{settings}

Meant for searching product catalogues by words or picture. Not meant for anything about people.
"""
