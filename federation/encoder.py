"""Encodes queries and products with a trained model: frozen stages, then what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from federation.encoding import LazyTowers, encode_images, encode_texts, image_batch, text_batch
from federation.features import Activations
from federation.model import Model, trained_model
from federation.preprocessing import pixels
from federation.spec import INPUT_CUT, ModelSpec
from federation.tensors import Tensor32

Vectors = NDArray[np.float32]
ROWS_AT_ONCE = 256


class Encoder:
    """Pictures and texts as unit vectors of one space. Safe to use from several threads.

    Below and above the cuts it computes in the precision that ``towers`` has.
    """

    def __init__(self, model: Model, *, towers: LazyTowers) -> None:
        self.spec = model.spec
        self.towers = towers
        self._model = model.freeze_for_serving()
        if towers.serving and model.spec.needs_towers:
            self._model.serve_in(image=towers.precision_of("image"), text=towers.precision_of("text"))

    @classmethod
    def load(cls, spec: ModelSpec, tensors: Mapping[str, Tensor32], *, towers: LazyTowers | None = None) -> Encoder:
        """The encoder of a trained model.

        Raises:
            HeadsError: the tensors are damaged or belong to another model.
            WeightsError: the base weights are missing or not the pinned ones.
        """
        towers = towers or LazyTowers(spec.preset)
        return cls(trained_model(spec, tensors, towers), towers=towers)

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self.spec.preset.embed_dim

    def warm_up(self) -> None:
        """Load the towers now, so that the first query does not pay for it."""
        self.encode_texts(["warm"])

    def encode_images(self, images: list[bytes]) -> Vectors:
        """(N, D) unit float32; raises ImageError for a picture that cannot be decoded."""
        pictures = [pixels(image, size=self.spec.preset.image_size) for image in images]
        if self.spec.image_cut == INPUT_CUT:
            return self.embed_images(Activations(pictures))
        # Rounded as the cache rounds, so that a picture finds itself exactly.
        return self.embed_images(Activations(encode_images(self.towers(), pictures, self.spec.image_cut)))

    def encode_texts(self, texts: list[str]) -> Vectors:
        """(N, D) unit float32."""
        return self.embed_texts(Activations(encode_texts(self.towers(), texts, self.spec.text_cut)))

    @torch.inference_mode()
    def embed_images(self, activations: Activations) -> Vectors:
        """(N, D) from activations that are cached already; needs no towers."""
        chunks = [self._model.embed_images(image_batch(rows)).cpu().numpy() for rows in _chunks(activations)]
        return self._joined(chunks)

    @torch.inference_mode()
    def embed_texts(self, activations: Activations) -> Vectors:
        """(N, D) from activations that are cached already; needs no towers."""
        chunks = [self._model.embed_texts(text_batch(rows)).cpu().numpy() for rows in _chunks(activations)]
        return self._joined(chunks)

    def _joined(self, chunks: list[Vectors]) -> Vectors:
        return np.concatenate(chunks) if chunks else np.empty((0, self.dimension), np.float32)


def _chunks(activations: Activations) -> list[Sequence[NDArray[np.generic]]]:
    starts = range(0, len(activations), ROWS_AT_ONCE)
    return [activations.rows[start : start + ROWS_AT_ONCE] for start in starts]
