"""A Hugging Face BERT as stages: embeddings, layers, mean over the tokens that are no padding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from federation.towers.stages import Hidden, Stage, Tower

ATTENTION = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")


def bert_tower(transformer: Any) -> Tower:
    """The stages of a `BertModel`."""
    return Tower(
        _Embeddings(transformer.embeddings), [_Layer(layer) for layer in transformer.encoder.layer], _MeanPooling()
    )


class _Embeddings(Stage):
    def __init__(self, embeddings: Any) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L) token ids → (B, L, W)"""
        return Hidden(self.embeddings(input_ids=hidden.values), hidden.lengths)


class _Layer(Stage):
    lora_targets = tuple(f"layer.{name}" for name in ATTENTION)

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L, W) → (B, L, W); no token looks at padding."""
        is_word = _is_word(hidden)
        dtype = hidden.values.dtype
        padding = torch.zeros_like(is_word, dtype=dtype).masked_fill(~is_word, torch.finfo(dtype).min)
        out = self.layer(hidden.values, attention_mask=padding[:, None, None, :])
        return Hidden(out[0] if isinstance(out, tuple) else out, hidden.lengths)


class _MeanPooling(Stage):
    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L, W) → (B, W)"""
        values = hidden.values.float()
        weights = _is_word(hidden).unsqueeze(-1).to(values.dtype)
        return Hidden((values * weights).sum(dim=1) / weights.sum(dim=1))


def _is_word(hidden: Hidden) -> Tensor:
    if hidden.lengths is None:
        raise AssertionError("token states come with their lengths")
    places = torch.arange(hidden.values.shape[1], device=hidden.values.device)
    return places[None, :] < hidden.lengths[:, None]
