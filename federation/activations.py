"""Features of the frozen towers, computed once and kept on disk: what is frozen must not be computed twice.

A feature is keyed by the SHA-256 of what went in (the picture's bytes, the caption's text) inside a folder named after
the preset's base hash, so that other weights or another picture treatment never meet old features. Values are kept and
used as float16 (rounded before the first use, so that a cold cache and a warm one give the same model).
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from core.files import write_atomically
from federation.presets import Preset

MAX_ROWS = 250_000
"""Rows that one kind of feature may take on disk: 640 MB of ``lite`` image features."""
FLUSH_ROWS = 2048
KEPT_BASES = 2

log = structlog.get_logger(__name__)
Features = NDArray[np.float32]


def cache_folder(root: Path, owner: str, preset: Preset) -> Path:
    """The folder of one owner's features under one preset; folders of long-replaced bases are removed."""
    folder = root / owner / f"{preset.name}-{preset.base_hash[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    others = sorted(
        (f for f in folder.parent.glob(f"{preset.name}-*") if f.is_dir() and f != folder),
        key=lambda f: f.stat().st_mtime,
        reverse=True,
    )
    for stale in others[KEPT_BASES - 1 :]:
        shutil.rmtree(stale, ignore_errors=True)
    return folder


class FeatureCache:
    """One kind of feature (``image`` or ``text``) in immutable safetensors chunks.

    Chunks are written whole and never changed, so that several processes may share the folder. A chunk that cannot be
    read, or whose checksum does not hold, is dropped and its features are computed anew.
    """

    def __init__(self, folder: Path, kind: str, *, width: int, max_rows: int = MAX_ROWS) -> None:
        self._folder, self._kind, self._width, self._max_rows = folder, kind, width, max_rows
        self._rows: dict[str, NDArray[np.float16]] = {}
        self._chunks: dict[Path, int] = {}
        self._fresh: dict[str, NDArray[np.float16]] = {}
        for path in sorted(folder.glob(f"{kind}-*.safetensors"), key=lambda p: (p.stat().st_mtime, p.name)):
            self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, keys: list[str]) -> Features:
        """(len(keys), width) float32; KeyError for a key that was never added."""
        if not keys:
            return np.empty((0, self._width), np.float32)
        return np.stack([self._rows[key] for key in keys]).astype(np.float32)

    def add(self, keys: list[str], features: Features) -> None:
        """Keep new features; they reach the disk in chunks, the last with `flush`."""
        for key, row in zip(keys, features.astype(np.float16), strict=True):
            if key not in self._rows:
                self._rows[key] = self._fresh[key] = row
        if len(self._fresh) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is new; the oldest chunks make room for it."""
        if not self._fresh:
            return
        self._make_room(len(self._fresh))
        digests = np.frombuffer(bytes.fromhex("".join(self._fresh)), np.uint8).reshape(-1, 32)
        values = np.stack(list(self._fresh.values()))
        path = self._folder / f"{self._kind}-{uuid.uuid4().hex}.safetensors"
        data = save({"digests": digests, "features": values}, {"sha256": _checksum(digests, values)})
        write_atomically(path, data)
        self._chunks[path] = len(self._fresh)
        self._fresh = {}

    def _read(self, path: Path) -> None:
        try:
            with safe_open(path, framework="numpy") as chunk:
                digests, values = chunk.get_tensor("digests"), chunk.get_tensor("features")
                promised = (chunk.metadata() or {}).get("sha256")
        except (SafetensorError, OSError) as error:
            # Another process may have made room; a torn file is worth a word, neither is worth a failure.
            self._drop(path, str(error))
            return
        if promised != _checksum(digests, values) or values.shape != (len(digests), self._width):
            self._drop(path, "its checksum does not hold")
            return
        self._rows.update({bytes(digest).hex(): row for digest, row in zip(digests, values, strict=True)})
        self._chunks[path] = len(digests)

    def _make_room(self, rows: int) -> None:
        for path in list(self._chunks):
            if sum(self._chunks.values()) + rows <= self._max_rows:
                return
            path.unlink(missing_ok=True)
            del self._chunks[path]

    def _drop(self, path: Path, reason: str) -> None:
        log.warning("a chunk of cached features is dropped and computed anew", chunk=path.name, reason=reason)
        path.unlink(missing_ok=True)


def text_key(text: str) -> str:
    """Key of a caption."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(digests: NDArray[np.uint8], values: NDArray[np.float16]) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(digests).tobytes())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
