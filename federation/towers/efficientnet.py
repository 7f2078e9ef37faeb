"""timm's EfficientNet as stages: stem, inverted residual blocks, last convolution and mean pooling."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from federation.towers.pixels import Normalise
from federation.towers.stages import Hidden, Stage, Tower

POINTWISE = ("conv_pw", "conv_pwl")
"""Depthwise convolutions have too few weights for a low-rank update to save any."""


def efficientnet_tower(trunk: Any, normalise: Normalise) -> Tower:
    """The stages of a timm EfficientNet without a classifier."""
    blocks = [_Block(block) for group in trunk.blocks for block in group]
    return Tower(_Stem(normalise, trunk), blocks, _Exit(trunk))


class _Foldable(Stage):
    def folded(self) -> Stage:
        """Batch norms as part of the convolutions before them."""
        return _folded(self)


class _Stem(_Foldable):
    def __init__(self, normalise: Normalise, trunk: Any) -> None:
        super().__init__()
        self.normalise, self.conv_stem, self.bn1 = normalise, trunk.conv_stem, trunk.bn1

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, S, S, 3) → (B, C, S/2, S/2)"""
        pixels = self.normalise(hidden.values)
        return Hidden(self.bn1(self.conv_stem(pixels)))


class _Block(_Foldable):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.lora_targets = tuple(name for name, _ in block.named_modules() if name in POINTWISE)

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, C, H, W) → (B, C′, H′, W′)"""
        values = hidden.values.contiguous(memory_format=torch.channels_last)
        return Hidden(self.block(values))


class _Exit(_Foldable):
    lora_targets = ("conv_head",)

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.conv_head, self.bn2 = trunk.conv_head, trunk.bn2

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, C, H, W) → (B, features)"""
        return Hidden(self.bn2(self.conv_head(hidden.values)).float().mean(dim=(2, 3)))


def _folded(stage: Stage) -> Stage:
    """A copy in which batch norms, registered right behind their convolutions, are part of those' weights."""
    stage = copy.deepcopy(stage)
    for module in list(stage.modules()):
        before: tuple[str, nn.Module] = "", module
        for name, child in list(module.named_children()):
            above, convolution = before
            if isinstance(child, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                module.set_submodule(above, fuse_conv_bn_eval(convolution, child))
                # timm's batch norms have their activation inside.
                module.set_submodule(name, getattr(child, "act", nn.Identity()))
            before = name, child
    return stage
