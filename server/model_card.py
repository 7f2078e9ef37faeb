"""The model card that lies beside every model version, for people."""

from __future__ import annotations

from typing import Any

from catalog.manifest import CatalogueManifest
from core.terms import CONFIDENTIAL, ROBUST
from federation.config import FederationConfig
from server.provenance import Provenance

MODES: dict[str, str] = {
    ROBUST: "robust: updates travel encrypted, and the coordinator sees and validates each client's as it is",
    CONFIDENTIAL: "confidential: updates are masked, and the coordinator learned their sum in each round alone",
}
NOISE = {
    "central": "The coordinator added it: it holds for who sees the models; the coordinator sees each client's update",
    "shares": "Each client added its share before it masked: it holds for who sees the models, and for the coordinator",
}
NO_PRIVACY = "none: no noise, so the model may tell what any one client trained on"


def model_card(
    result: dict[str, Any], config: FederationConfig, manifest: CatalogueManifest, made_by: Provenance
) -> str:
    """Markdown: what it is, what it learned from, how well it finds, what it must not be used for."""
    recall, test = result["recall_at_10"], result["test"]
    settings = "\n".join(f"| {key} | {value} |" for key, value in sorted(config.to_run_config().items()))
    rounds = "\n".join(
        f"| {r['round']} | {r['recall_at_10']:.3f} | {r['recall_at_1']:.3f} | {r['mrr']:.3f} | {r['replies']} |"
        f" {r['rejected']} |"
        for r in result["rounds"]
    )
    clients = "\n".join(
        f"| {client.name} | {client.products:,} | {_accepted(result, client.name)} of {len(result['rounds'])} |"
        for client in manifest.clients
    )
    up, down = (sum(r[name] for r in result["rounds"]) for name in ("bytes_up", "bytes_down"))
    return f"""# fashion-clip

Preset `{config.preset}`, `{config.trainable}` trained ({result["trainable_parameters"]:,} parameters) by
`{config.strategy}` over the clients' own products.
Files: `trained.safetensors` (data only) and `model.json`, sealed where the coordinator has keys.

| text→image on test | value |
|---|---|
| gallery (all kept products) | {recall["gallery"]} |
| queries (distinct titles) | {recall["queries"]} |
| recall@10 | {recall["challenger"]:.3f} |
| recall@10 before training | {recall["zero_shot"]:.3f} |
| recall@1 | {test["recall_at_1"]:.3f} |
| MRR@10 | {test["mrr"]:.3f} |

Round {result["chosen_round"]} was best on val and is this version.{_ended_early(result)}

| where it comes from | |
|---|---|
| catalogue | `{manifest.version}` ({manifest.source}), partition `{manifest.partition}` |
| data manifest, SHA-256 | `{made_by.manifest_sha256}` |
| code | `{made_by.code_version}` (sources, SHA-256: `{made_by.sources_sha256}`) |
| MLflow run | `{result["mlflow"]["run_id"]}`, one nested run a client |
| traffic | {up / 1e6:,.1f} MB from the clients, {down / 1e6:,.1f} MB to them |
| mode | {MODES[config.mode]} |
| privacy | {_privacy(result["privacy"])} |

| client | products | rounds in which its update counted |
|---|---|---|
{clients}

| round | recall@10 (val) | recall@1 | MRR | replies | rejected |
|---|---|---|---|---|---|
{rounds}

| setting | value |
|---|---|
{settings}

Meant for searching product catalogues by words or picture. Not meant for anything about people.
"""


def _privacy(told: dict[str, Any]) -> str:
    if "epsilon" not in told:
        return NO_PRIVACY
    return (
        f"{told['mode']}, epsilon {told['epsilon']:.3g} at delta {told['delta']:g} over {told['rounds']} rounds: each "
        f"client's update clipped to {told['clip_norm']:g}, noise of {told['noise_multiplier']:g} clip norms on their "
        f"sum. {NOISE[told['noise']]}"
    )


def _ended_early(result: dict[str, Any]) -> str:
    reason = result["ended_early"]
    return f" The run ended before its last round: {reason}" if reason else ""


def _accepted(result: dict[str, Any], client: str) -> int:
    return sum(client in entry["norms"] or client in entry["coverage"] for entry in result["rounds"])
