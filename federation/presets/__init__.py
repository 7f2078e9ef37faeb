"""Presets: which frozen towers, which picture size, which heads; read from the JSON files beside this module.

A preset is data. Its ``base_hash`` names everything that decides what a feature is (architecture, picture treatment,
weights): two parties whose base hashes agree compute the same features.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from federation.errors import PresetError, WeightsError

HERE = Path(__file__).resolve().parent
PACKAGE_SCHEME = "package:"


@dataclass(frozen=True)
class Weights:
    """One pinned file of base weights."""

    tower: str
    loader: str
    path: str
    sha256: str

    def verified_path(self) -> Path:
        """The file, once its SHA-256 was found to be the pinned one.

        Raises:
            WeightsError: it is missing, or holds something else.
        """
        path = resolve(self.path)
        if not path.is_file():
            raise WeightsError(f"Base weights are missing: {self.path}.", hint="Run `make setup` again.")
        found = file_sha256(path)
        if found != self.sha256:
            raise WeightsError(
                f"Base weights {self.path} have SHA-256 {found[:12]}…, the preset pins {self.sha256[:12]}….",
                hint="Install the locked version of that package; clients with other weights cannot take part.",
            )
        return path


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
    embed_dim: int
    init_scale: float
    weights: tuple[Weights, ...]
    random_seed: int | None
    source: str
    """The JSON text itself, stored beside every model."""

    @cached_property
    def base_hash(self) -> str:
        """Hex SHA-256 of what decides a feature; the heads are not part of it."""
        parts = {
            "open_clip": self.open_clip,
            "image": [self.image_size, self.mean, self.std],
            "weights": sorted((w.tower, w.sha256) for w in self.weights),
            "random_seed": self.random_seed,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def verify_weights(self) -> None:
        """Check every pinned file; raises WeightsError."""
        for weights in self.weights:
            weights.verified_path()


def load_preset(name: str) -> Preset:
    """The preset called ``name``.

    Raises:
        PresetError: there is none, or its file is malformed.
    """
    path = HERE / f"{name}.json"
    if not name.replace("-", "").isalnum() or not path.is_file():
        known = ", ".join(preset_names())
        raise PresetError(f"There is no preset {name!r}.", hint=f"Choose one of: {known}.")
    return parse_preset(path.read_text())


def preset_names() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in HERE.glob("*.json"))


def parse_preset(source: str) -> Preset:
    """Read a preset's JSON text, a file of this package or one stored with a model."""
    try:
        data = json.loads(source)
        image, features, heads = data["image"], data["features"], data["heads"]
        random_towers = data.get("random_towers")
        return Preset(
            name=str(data["name"]),
            open_clip=dict(data["open_clip"]),
            image_size=int(image["size"]),
            mean=_triple(image["mean"]),
            std=_triple(image["std"]),
            image_features=int(features["image"]),
            text_features=int(features["text"]),
            embed_dim=int(heads["embed_dim"]),
            init_scale=float(heads["init_scale"]),
            weights=tuple(Weights(**w) for w in data.get("weights", [])),
            random_seed=int(random_towers["seed"]) if random_towers else None,
            source=source,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PresetError(f"The preset cannot be read: {error!r}.", hint="Compare it with presets/lite.json.") from None


def resolve(path: str) -> Path:
    """Turn ``package:NAME/inner/path`` into a file path without importing the package."""
    if not path.startswith(PACKAGE_SCHEME):
        return Path(path)
    package, _, inner = path.removeprefix(PACKAGE_SCHEME).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"The package {package} is not installed.", hint="Run `make setup` again.")
    return Path(next(iter(spec.submodule_search_locations))) / inner


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _triple(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
