"""The two towers of a preset, with their pretrained weights, as stages that can be cut.

Heavy to load: importing open_clip, timm and transformers takes seconds. See features.py for who needs them at all.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from federation.device import compute_device
from federation.errors import WeightsError
from federation.precision import Precision
from federation.presets import Preset, resolve
from federation.torch_fixes import prepare_for_open_clip
from federation.towers.bert import bert_tower
from federation.towers.clip import text_tower, vision_tower
from federation.towers.efficientnet import efficientnet_tower
from federation.towers.filling import fill
from federation.towers.opaque import opaque_image_tower, opaque_text_tower
from federation.towers.pixels import Normalise
from federation.towers.stages import Hidden, Tower

__all__ = ["Hidden", "Projections", "Tower", "Towers", "build_towers"]


@dataclass(frozen=True)
class Projections:
    """The pretrained way from features into the common space; None where the preset's towers never met."""

    image: NDArray[np.float32]
    """(D, image_features)"""
    text: NDArray[np.float32]
    """(D, text_features)"""
    log_scale: float


class Towers:
    """Both towers of a preset, frozen, and the tokenizer. Nothing here is ever changed: training works on copies.

    Batch statistics stay in evaluation mode: federated BatchNorm would diverge between clients.
    """

    def __init__(
        self, preset: Preset, *, image: Tower, text: Tower, tokenizer: Any, projections: Projections | None
    ) -> None:
        self.preset, self.image, self.text, self.projections = preset, image, text, projections
        self.device = compute_device()
        for stage in (*image.modules(), *text.modules()):
            stage.eval().requires_grad_(False).to(self.device)
        self._tokenizer = tokenizer
        self._masks_padding = "hf_model_name" in preset.open_clip["text_cfg"]
        # Fast tokenizers fail ("Already borrowed") when two threads use one.
        self._tokenizing = threading.Lock()
        self.precisions: tuple[Precision, Precision] | None = None
        """Of image and text, where the towers only serve; None for those that training sees."""

    def serving(self, image: Tower, text: Tower, *, precisions: tuple[Precision, Precision]) -> Towers:
        """The same preset with these towers, which only answer; the tokenizer is shared."""
        towers = copy.copy(self)
        towers.image, towers.text, towers.precisions = image, text, precisions
        return towers

    def tokens(self, texts: Sequence[str]) -> Hidden:
        """(B, L) token ids and (B,) lengths; columns of padding are dropped, which changes nothing but the cost."""
        with self._tokenizing:
            ids: torch.Tensor = self._tokenizer(list(texts))
        # Without a padding mask it is CLIP's: the end-of-text token is the largest id, and what follows is never seen.
        lengths = (ids != 0).sum(dim=1).clamp(min=1) if self._masks_padding else ids.argmax(dim=1) + 1
        return Hidden(ids[:, : int(lengths.max())], lengths)


def build_towers(preset: Preset) -> Towers:
    """Build and fill the towers of ``preset``; about 10 s and 0.5 GB for ``lite``, most of it imports.

    Raises:
        WeightsError: a file of weights is missing, is not the pinned one, or does not fit.
    """
    preset.verify_weights()
    prepare_for_open_clip()
    from open_clip.model import CustomTextCLIP
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    vision, text = dict(preset.open_clip["vision_cfg"]), dict(preset.open_clip["text_cfg"])
    length = int(text.get("context_length", 77))
    tokenizer: Any
    if "hf_model_name" in text:
        text["hf_model_name"] = str(resolve(text["hf_model_name"]))
        text["hf_tokenizer_name"] = str(resolve(text["hf_tokenizer_name"]))
        _quieten_transformers()
        tokenizer = HFTokenizer(text["hf_tokenizer_name"], context_length=length)
    else:
        tokenizer = SimpleTokenizer(context_length=length)
    model: Any = CustomTextCLIP(
        embed_dim=preset.open_clip["embed_dim"],
        vision_cfg=vision,
        text_cfg=text,
        quick_gelu=bool(preset.open_clip.get("quick_gelu", False)),
    )
    fill(model, preset)
    projections = _projections(model) if preset.head_start == "pretrained" else None
    image, words = _image_tower(model, preset), _text_tower(model, preset)
    return Towers(preset, image=image, text=words, tokenizer=tokenizer, projections=projections)


def _image_tower(model: Any, preset: Preset) -> Tower:
    visual, normalise = model.visual, Normalise(preset.mean, preset.std)
    if not preset.image_blocks:
        return opaque_image_tower(visual, normalise)
    is_timm = hasattr(visual, "trunk")
    tower = efficientnet_tower(visual.trunk, normalise) if is_timm else vision_tower(visual, normalise)
    return _checked(tower, preset.image_blocks, "image")


def _text_tower(model: Any, preset: Preset) -> Tower:
    if not preset.text_blocks:
        return opaque_text_tower(model.text)
    tower = bert_tower(model.text.transformer) if hasattr(model.text, "pooler") else text_tower(model.text)
    return _checked(tower, preset.text_blocks, "text")


def _checked(tower: Tower, blocks: int, kind: str) -> Tower:
    if len(tower.blocks) != blocks:
        raise WeightsError(
            f"The {kind} tower has {len(tower.blocks)} blocks, its preset says {blocks}.", hint="Check the preset."
        )
    return tower


def _projections(model: Any) -> Projections:
    """open_clip multiplies from the right, a linear layer from the left; towers without a projection give features."""
    image, text = getattr(model.visual, "proj", None), getattr(model.text, "text_projection", None)
    width = int(model.visual.output_dim)
    return Projections(
        image=_transposed(image, width), text=_transposed(text, width), log_scale=float(model.logit_scale.detach())
    )


def _transposed(projection: Any, width: int) -> NDArray[np.float32]:
    if projection is None:
        return np.eye(width, dtype=np.float32)
    return np.ascontiguousarray(projection.detach().float().numpy().T)


def _quieten_transformers() -> None:
    """No progress bar and no report for two unused tensors in every client's log."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
