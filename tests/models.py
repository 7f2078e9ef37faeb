"""Small models for tests: the `tiny` preset, whose random towers are the same everywhere."""

from __future__ import annotations

from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.model import initial_state
from federation.spec import ModelSpec
from federation.tensors import Tensors


def tiny_config(**changes: object) -> FederationConfig:
    """A run of the `tiny` preset."""
    return FederationConfig(**{"preset": "tiny", "image_blocks": 1, "text_blocks": 1, **changes})  # type: ignore[arg-type]


def tiny_spec(**changes: object) -> ModelSpec:
    """The model of such a run."""
    return ModelSpec.of(tiny_config(**changes))


def tiny_state(**changes: object) -> Tensors:
    """What it starts from."""
    spec = tiny_spec(**changes)
    return initial_state(spec, LazyTowers(spec.preset))
