"""open_clip's own vision and text transformers as stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from federation.towers.attention import SplitAttention
from federation.towers.pixels import Normalise
from federation.towers.stages import Hidden, Stage, Tower

ATTENTION = tuple(f"block.attn.{name}" for name in ("query", "key", "value", "out"))


def vision_tower(visual: Any, normalise: Normalise) -> Tower:
    """The stages of an open_clip `VisionTransformer`; its projection is left to the heads."""
    blocks = [_VisionBlock(block) for block in visual.transformer.resblocks]
    last = _VisionExit(visual)
    # What remains of open_clip's module is the entry's: embedding patches. No parameter belongs to two stages.
    visual.proj, visual.ln_post, visual.transformer = None, nn.Identity(), nn.Identity()
    return Tower(_Patches(normalise, visual), blocks, last)


def text_tower(text: Any) -> Tower:
    """The stages of an open_clip `TextTransformer` that pools at the end-of-text token under a causal mask."""
    blocks = [_TextBlock(block) for block in text.transformer.resblocks]
    return Tower(_Tokens(text), blocks, _TextExit(text))


class _Patches(Stage):
    def __init__(self, normalise: Normalise, visual: Any) -> None:
        super().__init__()
        self.normalise, self.visual = normalise, visual

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, S, S, 3) → (B, 1 + patches, W)"""
        return Hidden(self.visual._embeds(self.normalise(hidden.values)))


class _Block(Stage):
    lora_targets = ATTENTION

    def __init__(self, block: Any) -> None:
        super().__init__()
        block.attn = SplitAttention.of(block.attn)
        self.block = block

    def attend(self, states: Tensor, *, causal: bool) -> Tensor:
        """One pre-norm residual block; the mask of open_clip's own is none or causal."""
        block = self.block
        states = states + block.ls_1(block.attn(block.ln_1(states), causal=causal))
        return states + block.ls_2(block.mlp(block.ln_2(states)))  # type: ignore[no-any-return]


class _VisionBlock(_Block):
    def forward(self, hidden: Hidden) -> Hidden:
        """(B, 1 + patches, W) → the same; every patch sees every other."""
        return Hidden(self.attend(hidden.values, causal=False))


class _TextBlock(_Block):
    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L, W) → the same; a token sees those before it, so that padding behind the end changes nothing."""
        return Hidden(self.attend(hidden.values, causal=True), hidden.lengths)


class _VisionExit(Stage):
    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.ln_post, self.pool_type = visual.ln_post, visual.pool_type
        self.norm_last = bool(visual.final_ln_after_pool)

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, 1 + patches, W) → (B, W)"""
        states = hidden.values if self.norm_last else self.ln_post(hidden.values)
        pooled = states[:, 1:].mean(dim=1) if self.pool_type == "avg" else states[:, 0]
        return Hidden(self.ln_post(pooled) if self.norm_last else pooled)


class _Tokens(Stage):
    def __init__(self, text: Any) -> None:
        super().__init__()
        self.token_embedding, self.positional_embedding = text.token_embedding, text.positional_embedding

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L) token ids → (B, L, W)"""
        length = hidden.values.shape[1]
        return Hidden(self.token_embedding(hidden.values) + self.positional_embedding[:length], hidden.lengths)


class _TextExit(Stage):
    def __init__(self, text: Any) -> None:
        super().__init__()
        self.ln_final = text.ln_final

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L, W) → (B, W): the state at the end-of-text token, which is the last that is no padding."""
        if hidden.lengths is None:
            raise AssertionError("token states come with their lengths")
        ends = hidden.values[torch.arange(len(hidden), device=hidden.values.device), hidden.lengths - 1]
        return Hidden(self.ln_final(ends))
