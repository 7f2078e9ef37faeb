"""How much travels?

Bytes of one client's update and of the state that it is sent, as real ArrayRecords, for each trainable part and
encoding; against FedAvg in fp32 over the whole model. Sizes depend on shapes alone: ViT-B/32 is built by open_clip
with random weights, from its configuration, and goes the same way as weights of one's own.
Usage: python -m benchmarks.traffic
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting import Bar, report, table
from federation.config import ENCODINGS, FederationConfig
from federation.encoding import LazyTowers
from federation.error_feedback import compress
from federation.model import initial_state
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.tensors import Tensors, count
from federation.wire import record_bytes, to_record

VIT = "ViT-B-32-quickgelu"
PARTS: dict[str, dict[str, Any]] = {
    "heads": {},
    "residual heads": {"head": "residual"},
    "lora, last 2 blocks": {"trainable": "lora"},
    "lora, all blocks": {"trainable": "lora", "image_blocks": -1, "text_blocks": -1},
    "full, last 2 blocks": {"trainable": "full"},
    "full, whole model": {"trainable": "full", "image_blocks": -1, "text_blocks": -1},
}
WHOLE, PLAIN, BAR = "full, whole model", "fp32", 0.01


@dataclass(frozen=True)
class Traffic:
    """What one client and round take."""

    model: str
    part: str
    encoding: str
    parameters: int
    up: int
    """Bytes of the update."""
    down: int
    """Bytes of the state."""

    @property
    def both(self) -> int:
        """In both directions together."""
        return self.up + self.down


def main() -> None:
    """Measure, print, write the result."""
    found = measure("lite")
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder:
        found += measure(random_vit(Path(folder)), label="vit-b-32")
    whole = {one.model: one.both for one in found if (one.part, one.encoding) == (WHOLE, PLAIN)}
    rows = [
        (one.model, one.part, one.encoding, f"{one.parameters:,}", f"{one.up:,}", f"{one.down:,}", share(one, whole))
        for one in found
    ]
    head = ("model", "trained", "encoding", "parameters", "bytes up", "bytes down", "of fp32 over all")
    bars = [
        Bar(f"{one.model}: heads int8, share of fp32 FedAvg over the whole model", BAR, one.both / whole[one.model])
        for one in found
        if (one.part, one.encoding) == ("heads", "int8")
    ]
    figures = {
        f"{one.model}, {one.part}, {one.encoding}": {
            "parameters": one.parameters,
            "bytes_up": one.up,
            "bytes_down": one.down,
            "share": one.both / whole[one.model],
        }
        for one in found
    }
    report("traffic", __doc__ or "", shown=table(head, rows), figures=figures, bars=bars)


def measure(preset: str, *, label: str = "", **changes: Any) -> list[Traffic]:
    """Every trainable part of a preset in every encoding; the towers are loaded once.

    ``changes`` are settings of the run that a part leaves open.
    """
    towers = LazyTowers(load_preset(preset))
    found = []
    for part, settings in PARTS.items():
        state = initial_state(ModelSpec.of(FederationConfig(**{"preset": preset, **changes, **settings})), towers)
        delta = drawn_like(state)
        for encoding in ENCODINGS:
            up = record_bytes(compress(delta, None, encoding=encoding)[0])
            down = record_bytes(to_record(state, encoding=encoding))
            found.append(Traffic(label or preset, part, encoding, count(state), up, down))
    return found


def drawn_like(state: Tensors) -> Tensors:
    """An update of the state's shapes."""
    draw = np.random.default_rng(0).standard_normal
    return {name: draw(array.shape, np.float32) * np.float32(1e-3) for name, array in state.items()}


def share(one: Traffic, whole: dict[str, int]) -> str:
    """Of what plain FedAvg takes, in both directions."""
    return f"{one.both / whole[one.model]:.3%}"


def random_vit(folder: Path) -> str:
    """A preset over a file of random weights of ViT-B/32, named as anybody's own weights are."""
    from federation.torch_fixes import prepare_for_open_clip

    prepare_for_open_clip()
    import open_clip
    from safetensors.torch import save_file

    model = open_clip.create_model(VIT, pretrained=None)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "random.safetensors")
    os.environ["TEJIDO_WEIGHTS_DIR"] = str(folder)
    return f"open_clip:{VIT}@random.safetensors"


if __name__ == "__main__":
    main()
