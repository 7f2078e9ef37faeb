"""What a model version consists of on disk: data only, each file under its hash. No pickle, no code.

trained.safetensors  the trained tensors
model.json           what they belong to: preset with its weights by SHA-256, trainable part, cuts, seed
hashes.json          SHA-256 of both, the base's hash, and one over all: the content hash
model-card.md        for people
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.errors import PresetError
from federation.precision import Wanted
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.tensors import Tensors, from_safetensors, to_safetensors
from server.errors import ModelDamaged

TRAINED, SPEC, HASHES, CARD = "trained.safetensors", "model.json", "hashes.json", "model-card.md"


@dataclass(frozen=True)
class StoredModel:
    """A model version that was read back and checked."""

    spec: ModelSpec
    state: Tensors
    content_hash: str

    def encoder(self, precision: Wanted) -> Encoder:
        """Its encoder, for serving in this precision. Where only heads are trained, towers load at the first use."""
        return Encoder.load(self.spec, self.state, towers=LazyTowers(self.spec.preset, serving=precision))


def write_model(folder: Path, spec: ModelSpec, state: Tensors, *, card: str) -> str:
    """Write the files of a model version into ``folder``; returns the content hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRAINED).write_bytes(to_safetensors(state))
    (folder / SPEC).write_text(spec.to_json())
    (folder / CARD).write_text(card)
    hashes = {name: _sha256(folder / name) for name in (TRAINED, SPEC)} | {"base": spec.preset.base_hash}
    content_hash = _content_hash(hashes)
    (folder / HASHES).write_text(json.dumps(hashes | {"content": content_hash}, indent=1))
    return content_hash


def read_model(folder: Path, *, content_hash: str) -> StoredModel:
    """Read a model version back, once every file is what the registry's content hash says.

    Raises:
        ModelDamaged: a file is missing, or was changed.
        HeadsError: the tensors cannot be read.
        WeightsError: this installation's preset of that name has another base.
    """
    try:
        found = {name: _sha256(folder / name) for name in (TRAINED, SPEC)}
        spec = ModelSpec.from_json((folder / SPEC).read_text())
    except PresetError as error:
        raise ModelDamaged(f"The model's {SPEC} was changed: {error.message}", hint="Roll back.") from None
    except FileNotFoundError as error:
        raise ModelDamaged(f"The model lacks {Path(str(error.filename)).name}.", hint="Train a new one.") from None
    hashes = found | {"base": spec.preset.base_hash}
    if _content_hash(hashes) != content_hash:
        raise ModelDamaged(
            f"The model's files hash to {_content_hash(hashes)[:12]}…, the registry says {content_hash[:12]}….",
            hint="Someone changed the stored files: train a new version or roll back.",
        )
    # The towers' files come from this installation, never from paths that a stored model names.
    installed = load_preset(spec.preset.name)
    if installed.base_hash != spec.preset.base_hash:
        raise ModelDamaged(
            f"The model's base is {spec.preset.base_hash[:12]}…, {installed.name} is {installed.base_hash[:12]}… here.",
            hint="Train a new version with the installed preset.",
        )
    return StoredModel(replace(spec, preset=installed), from_safetensors(folder / TRAINED), content_hash)


def _content_hash(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
