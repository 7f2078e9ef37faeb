"""What a model version consists of on disk: data only, each file under its hash. No pickle, no code.

trained.safetensors  the trained tensors
model.json           what they belong to: preset with its weights by SHA-256, trainable part, cuts, seed
hashes.json          SHA-256 of both, the base's hash, and one over all: the content hash
model-card.md        for people

Where this process has keys, the first two are sealed (see sealing.py), and in place of hashes.json stands
manifest.json, which is signed and names the MLflow run that the model belongs to; and manifest.json.resigned, its
signature by a later key, after a rotation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.objects import DirectoryStore
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.errors import PresetError
from federation.precision import Wanted
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.tensors import Tensors, from_safetensors, to_safetensors
from security.errors import ArtifactNotSealed, ArtifactRefused
from security.manifests import Subject
from server.errors import ModelDamaged
from server.sealing import Seals, keyless

KIND, MANIFEST = "model", "manifest.json"
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


def write_model(
    folder: Path, spec: ModelSpec, state: Tensors, *, card: str, seals: Seals | None = None, run: str = ""
) -> str:
    """Write the files of a model version into ``folder``; returns the content hash.

    Args:
        folder: made if need be.
        spec: what the tensors belong to.
        state: the trained tensors.
        card: Markdown, for people.
        seals: of this process.
        run: MLflow's id of the run that the model belongs to; a sealed model is another run's nowhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).write_text(card)
    files = {TRAINED: to_safetensors(state), SPEC: spec.to_json().encode()}
    hashes = {name: _sha256(data) for name, data in files.items()} | {"base": spec.preset.base_hash}
    content_hash = _content_hash(hashes)
    if seals is None:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        (folder / HASHES).write_text(json.dumps(hashes | {"content": content_hash}, indent=1))
        return content_hash
    store, subject = DirectoryStore(folder), Subject(KIND, run)
    entries = [seals.put(store, "", subject, name, data) for name, data in files.items()]
    about = {"content_hash": content_hash, "card_sha256": _sha256(card.encode())}
    (folder / MANIFEST).write_bytes(seals.sign(subject, entries, about))
    return content_hash


def read_model(folder: Path, *, content_hash: str, seals: Seals | None = None, run: str = "") -> StoredModel:
    """Read a model version back, once every file is what the registry's content hash says.

    Args:
        folder: its files.
        content_hash: what the registry says.
        seals: of this process; where it has keys, the manifest's signature comes before everything else.
        run: the run that the registry says the model belongs to.

    Raises:
        ModelDamaged: a file is missing, or was changed.
        ArtifactRefused: a sealed file is missing, was changed, or is another run's; or the registry's hash is another
            than was signed.
        ArtifactNotSealed: the model is not sealed, and this process has keys.
        ArtifactKeyMissing: the model is sealed, and this process has no keys.
        HeadsError: the tensors cannot be read.
        WeightsError: this installation's preset of that name has another base.
    """
    files = _plain(folder) if seals is None else _opened(folder, seals, Subject(KIND, run), content_hash)
    try:
        spec = ModelSpec.from_json(files[SPEC].decode())
    except (PresetError, UnicodeDecodeError) as error:
        raise ModelDamaged(f"The model's {SPEC} was changed: {error}", hint="Roll back.") from None
    found = {name: _sha256(data) for name, data in files.items()}
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
    return StoredModel(replace(spec, preset=installed), from_safetensors(files[TRAINED]), content_hash)


def _plain(folder: Path) -> dict[str, bytes]:
    try:
        return {name: (folder / name).read_bytes() for name in (TRAINED, SPEC)}
    except FileNotFoundError as error:
        if (folder / MANIFEST).exists():
            raise keyless("The model") from None
        raise ModelDamaged(f"The model lacks {Path(str(error.filename)).name}.", hint="Train a new one.") from None


def _opened(folder: Path, seals: Seals, subject: Subject, content_hash: str) -> dict[str, bytes]:
    store = DirectoryStore(folder)
    manifest = seals.manifest(store, MANIFEST, subject)
    if manifest is None:
        raise ArtifactNotSealed(f"The model of run {subject.run} is not sealed.")
    signed = str(manifest.about["content_hash"])
    if signed != content_hash:
        raise ArtifactRefused(
            f"Model {subject.run} was signed as {signed[:12]}…, the registry says {content_hash[:12]}….",
            hint="Somebody has changed the registry: train again, or go back.",
        )
    # Nothing is loaded from the card, but people decide by it.
    card = folder / CARD
    if not card.is_file() or _sha256(card.read_bytes()) != manifest.about["card_sha256"]:
        raise ArtifactRefused(f"{CARD} of model {subject.run} is not what was signed.")
    return {name: seals.get(store, "", subject, manifest.entry(name)) for name in (TRAINED, SPEC)}


def _content_hash(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
