"""Encodes queries and products with a trained model: frozen towers, then heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from federation.features import LazyTowers
from federation.heads import Heads, heads_from
from federation.presets import Preset, load_preset
from federation.tensors import from_safetensors

Vectors = NDArray[np.float32]
ROWS_AT_ONCE = 4096


class Encoder:
    """Pictures and texts as unit vectors of one space. Safe to use from several threads."""

    def __init__(self, preset: Preset, heads: Heads, *, towers: LazyTowers | None = None) -> None:
        self.preset = preset
        self.towers = towers or LazyTowers(preset)
        self._heads = heads.eval()

    @classmethod
    def load(cls, preset: str | Preset, heads: Path | bytes) -> Encoder:
        """The encoder of a preset and its trained heads.

        Raises:
            PresetError: no such preset.
            HeadsError: the heads are damaged or belong to another preset.
        """
        preset = load_preset(preset) if isinstance(preset, str) else preset
        return cls(preset, heads_from(preset, from_safetensors(heads)))

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self.preset.embed_dim

    def warm_up(self) -> None:
        """Load the towers now, so that the first query does not pay for it."""
        self.encode_texts(["warm"])

    def encode_images(self, images: list[bytes]) -> Vectors:
        """(N, D) unit float32; raises ImageError for a picture that cannot be decoded."""
        return self.embed_image_features(_as_cached(self.towers().encode_images(images)))

    def encode_texts(self, texts: list[str]) -> Vectors:
        """(N, D) unit float32."""
        return self.embed_text_features(_as_cached(self.towers().encode_texts(texts)))

    def embed_image_features(self, features: NDArray[np.float32]) -> Vectors:
        """(N, D) from features that are cached already; needs no towers."""
        return self._embed(features, image=True)

    def embed_text_features(self, features: NDArray[np.float32]) -> Vectors:
        """(N, D) from features that are cached already; needs no towers."""
        return self._embed(features, image=False)

    @torch.inference_mode()
    def _embed(self, features: NDArray[np.float32], *, image: bool) -> Vectors:
        embed = self._heads.embed_images if image else self._heads.embed_texts
        starts = range(0, len(features), ROWS_AT_ONCE)
        chunks = [embed(torch.from_numpy(features[i : i + ROWS_AT_ONCE])).numpy() for i in starts]
        return np.concatenate(chunks) if chunks else np.empty((0, self.dimension), np.float32)


def _as_cached(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round as the feature cache does, so that a picture finds itself exactly."""
    return features.astype(np.float16).astype(np.float32)
