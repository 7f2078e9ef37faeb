"""What a run is about: it never changes, also when the run is resumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.errors import RunDiffers


@dataclass(frozen=True)
class About:
    """Config, catalogue and base model of one run."""

    config: dict[str, Any]
    """As `FederationConfig.to_run_config` gives it."""
    catalogue_version: str
    base_hash: str
    identity: str = ""
    """Of this folder; the MLflow run bears it as a tag. Made when the folder is begun."""


def require_same(run: str, known: About, now: About) -> None:
    """Insist that a run which is resumed is the one that was begun."""
    if known.config != now.config:
        keys = sorted({*known.config, *now.config})
        changed = [
            f"{key} was {known.config.get(key)!r}, now {now.config.get(key)!r}"
            for key in keys
            if known.config.get(key) != now.config.get(key)
        ]
        raise RunDiffers(
            f"Run {run} was begun with another config: {'; '.join(changed)}.",
            hint="Go on with its own by `tejido federation resume`, or take another id.",
        )
    for what, before, after in (
        ("catalogue", known.catalogue_version, now.catalogue_version),
        ("base model", known.base_hash, now.base_hash),
    ):
        if before != after:
            raise RunDiffers(
                f"Run {run} was begun with the {what} {before}, now there is {after}.", hint="Start a new run."
            )
