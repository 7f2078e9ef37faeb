"""Any architecture that open_clip knows, with a local file of weights, as a preset."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from federation.errors import PresetError

NAME = re.compile(r"open_clip:(?P<model>[A-Za-z0-9][A-Za-z0-9_-]*)@(?P<file>[A-Za-z0-9][A-Za-z0-9._-]*)")
OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]
OPENAI_STD = [0.26862954, 0.26130258, 0.27577711]
INIT_SCALE = 14.285714285714286
"""1 / 0.07, where CLIP's temperature starts (Radford et al. 2021); pretrained weights bring their own."""


def describe_open_clip(name: str) -> dict[str, Any]:
    """The preset ``open_clip:NAME@FILE`` as the data that a JSON file would hold.

    Raises:
        PresetError: open_clip has no such architecture.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise PresetError(f"{name!r} is no preset.", hint="Write open_clip:NAME@FILE, as open_clip:ViT-B-32@mine.pt.")
    config = architecture(match["model"])
    vision, text = config["vision_cfg"], config["text_cfg"]
    return {
        "name": name,
        "open_clip": config,
        "image": {"size": vision.get("image_size", 224), "mean": OPENAI_MEAN, "std": OPENAI_STD},
        "features": {"image": _width(vision, config), "text": _width(text, config)},
        "blocks": {"image": _blocks(vision), "text": _blocks(text)},
        "heads": {
            "embed_dim": config["embed_dim"], "start": "pretrained", "standardise": False, "init_scale": INIT_SCALE,
        },
        "weights": [{"tower": "both", "loader": "open_clip_checkpoint", "path": f"file:{match['file']}"}],
    }  # fmt: skip


def architecture(model: str) -> dict[str, Any]:
    """open_clip's own description of a model, read without importing open_clip; PresetError when there is none."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise PresetError("open_clip is not installed.", hint="Run `make setup` again.")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model_configs"
    path = folder / f"{model}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("ViT-B*.json")))
        raise PresetError(f"open_clip has no model {model!r}.", hint=f"Some that it has: {known}.")
    found: dict[str, Any] = json.loads(path.read_text())
    if "multimodal_cfg" in found:
        raise PresetError(f"{model} is a captioner, not a two-tower model.", hint="Take a CLIP model.")
    return found


def _is_transformer(tower: dict[str, Any]) -> bool:
    return not {"timm_model_name", "hf_model_name"} & set(tower) and isinstance(tower.get("layers"), int)


def _blocks(tower: dict[str, Any]) -> int:
    return int(tower["layers"]) if _is_transformer(tower) else 0


def _width(tower: dict[str, Any], config: dict[str, Any]) -> int:
    """Of the features: before the projection where we can take it off, after it otherwise."""
    return int(tower["width"]) if _is_transformer(tower) else int(config["embed_dim"])
