"""open_clip as people run it, the peer of benchmarks/encoding.py: its own model, transforms and tokenizer, float32."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from federation.presets import Preset, resolve
from federation.torch_fixes import prepare_for_open_clip

AT_ONCE = 32


class Stock:
    """Batches of 32; texts padded to the whole context. Weights are random: speed does not depend on them."""

    def __init__(self, preset: Preset) -> None:
        prepare_for_open_clip()
        import open_clip

        name = f"stock-{preset.label}"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(_config(preset)))
            open_clip.add_model_config(path)
        self.model: Any
        self.model, _, self.transform = open_clip.create_model_and_transforms(name, pretrained_text=False)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(name)

    def catalogue(self, images: Sequence[bytes], titles: Sequence[str]) -> None:
        """From files and titles to vectors."""
        for start in range(0, len(images), AT_ONCE):
            self.pictures(self.prepared(images[start : start + AT_ONCE]))
        self.texts(titles)

    def prepared(self, images: Sequence[bytes]) -> torch.Tensor:
        """(B, 3, S, S), decoded by open_clip's own transform."""
        return torch.stack([self.transform(Image.open(io.BytesIO(image))) for image in images])

    @torch.no_grad()
    def pictures(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """(B, D)"""
        found: NDArray[np.float32] = self.model.encode_image(batch, normalize=True).numpy()
        return found

    @torch.no_grad()
    def texts(self, titles: Sequence[str]) -> None:
        """All of them, 32 at a time."""
        for start in range(0, len(titles), AT_ONCE):
            self.model.encode_text(self.tokenizer(list(titles[start : start + AT_ONCE])), normalize=True).numpy()


def _config(preset: Preset) -> dict[str, Any]:
    config = json.loads(json.dumps(preset.open_clip))
    text = config["text_cfg"]
    for name in ("hf_model_name", "hf_tokenizer_name"):
        if name in text:
            text[name] = str(resolve(text[name]))
    return dict(config)
