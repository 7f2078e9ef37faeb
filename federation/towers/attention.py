"""Multi-head self-attention with its four maps apart, so that each can be given an adapter."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SplitAttention(nn.Module):
    """`torch.nn.MultiheadAttention` for self-attention, with query, key, value and output as linear layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    @classmethod
    def of(cls, fused: nn.MultiheadAttention) -> SplitAttention:
        """The same map as ``fused``, whose weights it takes over."""
        split = cls(fused.embed_dim, fused.num_heads)
        with torch.no_grad():
            weights, biases = fused.in_proj_weight.chunk(3), fused.in_proj_bias.chunk(3)
            for layer, weight, bias in zip((split.query, split.key, split.value), weights, biases, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
            split.out.weight.copy_(fused.out_proj.weight)
            split.out.bias.copy_(fused.out_proj.bias)
        return split

    def forward(self, states: Tensor, *, causal: bool) -> Tensor:
        """(B, L, W) → (B, L, W)"""
        query, key, value = (self._heads(layer(states)) for layer in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)  # (B, heads, L, W/heads)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, states: Tensor) -> Tensor:
        batch, length, width = states.shape
        return states.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
