"""Contracts for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from security.bundles import sign
from security.contracts import Contract, SignedContract, Terms

BUNDLE = "a" * 64
TERMS: dict[str, Any] = {
    "trainable": "heads", "mode": "robust", "rounds": 10, "privacy": "none", "clip-norm": 1.0,
    "noise-multiplier": 1.0, "delta": 1e-5, "epsilon-budget": 10.0,
}  # fmt: skip
ENDS = datetime(2031, 1, 1, tzinfo=UTC)


def contract(*, bundle: str = BUNDLE, is_publishing: bool = False, until: datetime = ENDS, **changes: Any) -> Contract:
    """One of a run called ``run``; settings of a message change its terms, with dashes or without."""
    more = {name: changes.pop(name) for name in ("purpose", "update_bytes", "run", "commit") if name in changes}
    known: dict[str, Any] = {"run": "run", "purpose": "Try.", "commit": "", "update_bytes": 10_000}
    terms = TERMS | {name.replace("_", "-"): value for name, value in changes.items()}
    return Contract(
        bundle=bundle, until=until, terms=None if is_publishing else Terms.model_validate(terms), **(known | more)
    )


def signed(found: Contract, key: Path | None = None) -> SignedContract:
    """As a run carries it."""
    text = found.text()
    return SignedContract.of({"contract": text, "contract-signature": sign(key, text) if key else ""})
