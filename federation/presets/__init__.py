"""Presets: which towers, which picture size, which heads; read from the JSON files beside this module.

A preset is data. Its ``base_hash`` names everything that decides what a feature is (architecture, picture treatment,
weights): two parties whose base hashes agree compute the same features.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from federation.errors import PresetError
from federation.presets.open_clip import describe_open_clip
from federation.presets.weights import Weights, file_sha256, resolve

__all__ = ["Preset", "Weights", "file_sha256", "load_preset", "parse_preset", "preset_names", "resolve"]
HERE = Path(__file__).resolve().parent
TREATMENT = 2
"""Raised whenever our own code makes other features of the same weights."""
HEAD_STARTS = ("random", "pretrained")


@dataclass(frozen=True)
class Preset:
    """One preset as its JSON file says it."""

    name: str
    open_clip: dict[str, Any]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_features: int
    text_features: int
    image_blocks: int
    """Blocks of the image tower that can be trained one by one; 0 where the tower cannot be taken apart."""
    text_blocks: int
    embed_dim: int
    head_start: str
    """``random`` projections, or the ``pretrained`` ones of the base weights."""
    standardise: bool
    """Whether features are standardised before the heads: needed where two towers never met before."""
    init_scale: float
    parameters: int | None
    """Of both towers, linear heads and the scale; None where nobody counted."""
    weights: tuple[Weights, ...]
    random_seed: int | None
    source: str = field(compare=False)
    """The JSON text itself, stored beside every model."""

    @cached_property
    def base_hash(self) -> str:
        """Hex SHA-256 of what decides a feature; the heads are not part of it.

        Raises:
            WeightsError: the preset pins no weights and there are none here.
        """
        parts = {
            "open_clip": self.open_clip,
            "image": [self.image_size, self.mean, self.std],
            "weights": sorted((w.tower, w.digest()) for w in self.weights),
            "random_seed": self.random_seed,
            "treatment": TREATMENT,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def label(self) -> str:
        """The name as part of a file's name."""
        return re.sub(r"[^A-Za-z0-9_-]+", "-", self.name)

    def verify_weights(self) -> None:
        """Check every pinned file; raises WeightsError."""
        for weights in self.weights:
            weights.verified_path()


def load_preset(name: str) -> Preset:
    """The preset called ``name``, or any model of open_clip as ``open_clip:NAME@FILE``.

    Raises:
        PresetError: there is none, or its file is malformed.
    """
    if name.startswith("open_clip:"):
        return parse_preset(json.dumps(describe_open_clip(name)))
    path = HERE / f"{name}.json"
    if not name.replace("-", "").isalnum() or not path.is_file():
        known = ", ".join(preset_names())
        raise PresetError(f"There is no preset {name!r}.", hint=f"Choose one of: {known}; or open_clip:NAME@FILE.")
    return parse_preset(path.read_text())


def preset_names() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in HERE.glob("*.json"))


def parse_preset(source: str) -> Preset:
    """Read a preset's JSON text, a file of this package or one stored with a model."""
    try:
        data = json.loads(source)
        image, features, blocks, heads = data["image"], data["features"], data["blocks"], data["heads"]
        random_towers = data.get("random_towers")
        return Preset(
            name=str(data["name"]),
            open_clip=dict(data["open_clip"]),
            image_size=int(image["size"]),
            mean=_triple(image["mean"]),
            std=_triple(image["std"]),
            image_features=int(features["image"]),
            text_features=int(features["text"]),
            image_blocks=int(blocks["image"]),
            text_blocks=int(blocks["text"]),
            embed_dim=int(heads["embed_dim"]),
            head_start=HEAD_STARTS[HEAD_STARTS.index(heads["start"])],
            standardise=bool(heads["standardise"]),
            init_scale=float(heads["init_scale"]),
            parameters=int(data["parameters"]) if "parameters" in data else None,
            weights=tuple(Weights(**w) for w in data.get("weights", [])),
            random_seed=int(random_towers["seed"]) if random_towers else None,
            source=source,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PresetError(f"The preset cannot be read: {error!r}.", hint="Compare it with presets/lite.json.") from None


def _triple(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
