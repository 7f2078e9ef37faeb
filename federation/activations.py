"""Activations of frozen stages, computed once and kept on disk: what is frozen must not be computed twice.

An activation is keyed by the SHA-256 of what went in (the picture's bytes and its treatment, the caption's text) inside
a folder named after the preset's base hash and a file named after the cut, so that other weights, another treatment or
another cut never meet old activations. Values are kept and used as float16 (rounded before the first use, so that a
cold cache and a warm one give the same model); pixels as bytes and token ids as int32 when nothing is frozen.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.files import write_atomically
from federation.presets import Preset

MAX_BYTES = 2 * 2**30
"""What one kind of activation may take on disk: 250,000 products two blocks below `lite`'s features."""
FLUSH_BYTES = 32 * 2**20
KEPT_BASES = 2

log = structlog.get_logger(__name__)
Row = NDArray[Any]


def cache_folder(root: Path, owner: str, preset: Preset) -> Path:
    """The folder of one owner's activations under one preset; folders of long-replaced bases are removed."""
    folder = root / owner / f"{preset.label}-{preset.base_hash[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    others = sorted(
        (f for f in folder.parent.glob(f"{preset.label}-*") if f.is_dir() and f != folder),
        key=lambda f: f.stat().st_mtime,
        reverse=True,
    )
    for stale in others[KEPT_BASES - 1 :]:
        shutil.rmtree(stale, ignore_errors=True)
    return folder


class ActivationCache:
    """One kind of activation, as ``image-block-14``, in immutable safetensors chunks of rows of any shape.

    Chunks are written whole and never changed, so that several processes may share the folder. A chunk that cannot be
    read, or whose checksum does not hold, is dropped and its activations are computed anew.
    """

    def __init__(self, folder: Path, kind: str, *, dtype: str = "float16", max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._kind, self._dtype, self._max_bytes = folder, kind, np.dtype(dtype), max_bytes
        self._rows: dict[str, Row] = {}
        self._chunks: dict[Path, int] = {}
        self._fresh: dict[str, Row] = {}
        self._fresh_bytes = 0
        for path in sorted(folder.glob(f"{kind}.*.safetensors"), key=lambda p: (p.stat().st_mtime, p.name)):
            self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, keys: Sequence[str]) -> list[Row]:
        """The rows of these keys, as they were added; KeyError for a key that never was."""
        return [self._rows[key] for key in keys]

    def add(self, keys: Sequence[str], rows: Sequence[Row]) -> None:
        """Keep new rows; they reach the disk in chunks, the last with `flush`."""
        for key, row in zip(keys, rows, strict=True):
            if key not in self._rows:
                kept = np.ascontiguousarray(row, dtype=self._dtype)
                self._rows[key] = self._fresh[key] = kept
                self._fresh_bytes += kept.nbytes
        if self._fresh_bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is new; the oldest chunks make room for it."""
        if not self._fresh:
            return
        self._make_room(self._fresh_bytes)
        rows = list(self._fresh.values())
        arrays: dict[str, Row] = {
            "digests": np.frombuffer(bytes.fromhex("".join(self._fresh)), np.uint8).reshape(-1, 32),
            "shapes": np.array([row.shape for row in rows], np.int32),
            "values": np.concatenate([row.ravel() for row in rows]),
        }
        path = self._folder / f"{self._kind}.{uuid.uuid4().hex}.safetensors"
        write_atomically(path, save(arrays, {"sha256": _checksum(arrays)}))
        self._chunks[path] = path.stat().st_size
        self._fresh, self._fresh_bytes = {}, 0

    def _read(self, path: Path) -> None:
        try:
            with safe_open(path, framework="numpy") as chunk:
                arrays = {name: chunk.get_tensor(name) for name in ("digests", "shapes", "values")}
                promised = (chunk.metadata() or {}).get("sha256")
        except (SafetensorError, OSError) as error:
            # Another process may have made room; a torn file is worth a word, neither is worth a failure.
            self._drop(path, str(error))
            return
        if promised != _checksum(arrays) or arrays["values"].dtype != self._dtype:
            self._drop(path, "its checksum does not hold")
            return
        ends = np.cumsum(arrays["shapes"].prod(axis=1, dtype=np.int64))
        rows = np.split(arrays["values"], ends[:-1])
        for digest, shape, row in zip(arrays["digests"], arrays["shapes"], rows, strict=True):
            self._rows[bytes(digest).hex()] = row.reshape(shape)
        self._chunks[path] = path.stat().st_size

    def _make_room(self, needed: int) -> None:
        for path in list(self._chunks):
            if sum(self._chunks.values()) + needed <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            del self._chunks[path]

    def _drop(self, path: Path, reason: str) -> None:
        log.warning("a chunk of cached activations is dropped and computed anew", chunk=path.name, reason=reason)
        path.unlink(missing_ok=True)


def text_key(text: str) -> str:
    """Key of a caption."""
    return hashlib.sha256(text.encode()).hexdigest()


def image_key(image_sha256: str, view: int) -> str:
    """Key of one treatment of a picture; view 0 is the picture as it is."""
    return image_sha256 if view == 0 else hashlib.sha256(f"{image_sha256}/{view}".encode()).hexdigest()


def _checksum(arrays: dict[str, Row]) -> str:
    digest = hashlib.sha256()
    for name in ("digests", "shapes", "values"):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
