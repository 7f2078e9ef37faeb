"""The frozen towers: what turns a picture or a caption into features. Heavy to load; see activations.py to avoid it."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from federation.errors import WeightsError
from federation.preprocessing import pixels
from federation.presets import Preset, load_preset, resolve
from federation.torch_fixes import prepare_for_open_clip

FloatArray = np.ndarray[tuple[int, int], np.dtype[np.float32]]
EMBEDDING_BOUND = 0.25
__all__ = ["Towers", "build_towers", "load_preset"]


class Towers:
    """Both frozen towers of a preset, without their projections.

    Batch statistics stay in evaluation mode: federated BatchNorm would diverge between clients.
    """

    def __init__(self, preset: Preset, model: nn.Module, tokenizer: Any) -> None:
        self.preset = preset
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        # Fast tokenizers fail ("Already borrowed") when two threads use one.
        self._tokenizing = threading.Lock()

    @torch.inference_mode()
    def encode_images(self, images: list[bytes]) -> FloatArray:
        """(B, image_features) float32, not normalised."""
        batch = pixels(images, self.preset).contiguous(memory_format=torch.channels_last)
        features: Tensor = cast(Any, self._model).encode_image(batch)
        return cast(FloatArray, features.numpy())

    @torch.inference_mode()
    def encode_texts(self, texts: list[str]) -> FloatArray:
        """(B, text_features) float32, not normalised."""
        with self._tokenizing:
            tokens: Tensor = self._tokenizer(texts)
        if "hf_model_name" in self.preset.open_clip["text_cfg"]:
            # Padding is masked out in this tower, so that dropping columns of padding changes nothing but the cost.
            tokens = tokens[:, : max(1, int((tokens != 0).sum(1).max()))]
        features: Tensor = cast(Any, self._model).encode_text(tokens)
        return cast(FloatArray, features.numpy())


def build_towers(preset: Preset) -> Towers:
    """Build and fill the towers of ``preset``; about 10 s and 0.5 GB for ``lite``, most of it imports.

    Raises:
        WeightsError: a pinned file is missing or holds other weights.
    """
    preset.verify_weights()
    prepare_for_open_clip()
    from open_clip.model import CustomTextCLIP
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    vision, text = dict(preset.open_clip["vision_cfg"]), dict(preset.open_clip["text_cfg"])
    length = int(text["context_length"])
    tokenizer: Any
    if "hf_model_name" in text:
        text["hf_model_name"] = str(resolve(text["hf_model_name"]))
        text["hf_tokenizer_name"] = str(resolve(text["hf_tokenizer_name"]))
        _quieten_transformers()
        tokenizer = HFTokenizer(text["hf_tokenizer_name"], context_length=length)
    else:
        tokenizer = SimpleTokenizer(context_length=length)
    model = CustomTextCLIP(embed_dim=preset.open_clip["embed_dim"], vision_cfg=vision, text_cfg=text)
    _fill(model, preset)
    _drop_projections(model)
    return Towers(preset, model.to(memory_format=torch.channels_last), tokenizer)


def _quieten_transformers() -> None:
    """No progress bar and no report for two unused tensors in every client's log."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _fill(model: Any, preset: Preset) -> None:
    for weights in preset.weights:
        if weights.loader == "efficientnet_in_order":
            _fill_in_order(model.visual.trunk, torch.load(weights.verified_path(), weights_only=True))
        elif weights.loader != "open_clip":
            raise WeightsError(f"Unknown loader {weights.loader!r} for {weights.path}.", hint="Check the preset.")
    if preset.random_seed is not None:
        _fill_at_random(model, preset.random_seed)


def _fill_in_order(trunk: nn.Module, saved: dict[str, Tensor]) -> None:
    """Load an EfficientNet whose keys are named differently but come in the same order as timm's."""
    values = [tensor for name, tensor in saved.items() if not name.startswith("_fc.")]
    expected = trunk.state_dict()
    if [v.shape for v in values] != [e.shape for e in expected.values()]:
        raise WeightsError("The vision tower's weights do not fit its architecture.", hint="Check the preset.")
    trunk.load_state_dict(dict(zip(expected, values, strict=True)))


def _fill_at_random(model: nn.Module, seed: int) -> None:
    """Uniform weights from integers of PCG64, which are the same on every machine (torch's own are not)."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 or "embedding" in name:
                bound = EMBEDDING_BOUND if "embedding" in name else (3 / parameter.shape[-1]) ** 0.5
                draws = generator.random(tuple(parameter.shape)) * 2 - 1
                parameter.copy_(torch.from_numpy((draws * bound).astype(np.float32)))
            elif name.endswith("bias"):
                parameter.zero_()


def _drop_projections(model: Any) -> None:
    """Take off the projections that open_clip puts on package towers: the heads stand in their place."""
    if hasattr(model.visual, "trunk"):
        model.visual.head = nn.Identity()
    if hasattr(model.text, "transformer") and hasattr(model.text, "pooler"):
        model.text.proj = nn.Identity()
