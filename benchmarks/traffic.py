"""How much travels?

Bytes of one client's update and of the state that it is sent, as real ArrayRecords, for each trainable part and
encoding; against FedAvg in fp32 over the whole model. Sizes depend on shapes alone: ViT-B/32 is built by open_clip
with random weights, from its configuration, and goes the same way as weights of one's own. What coarser numbers cost
is shown by runs of ten clients on ../shared/fashion (BENCH_SOURCE names another catalogue), heads of `lite`.
Usage: python -m benchmarks.traffic
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inprocess import Bench, load_catalogue
from benchmarks.reporting import Bar, report, table
from federation.config import ENCODINGS, FederationConfig
from federation.encoding import LazyTowers
from federation.error_feedback import compress
from federation.evaluation import Retrieval
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
WHOLE, PLAIN, COARSE, BAR = "full, whole model", "fp32", "int8", 0.01
CLIENTS, ROUNDS, EPOCHS, LOSS_BAR = 10, 5, 4, 0.01


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
    bench = Bench.open(FederationConfig(), load_catalogue())
    found_by = {encoding: retrieval_of(bench, encoding) for encoding in ENCODINGS}
    figures = {f"{one.model}, {one.part}, {one.encoding}": asdict(one) | {"share": share(one, found)} for one in found}
    report(
        "traffic",
        __doc__ or "",
        shown=tables(found, found_by),
        figures=figures
        | {"recall_at_10": {encoding: one.recall_at_10 for encoding, one in found_by.items()}}
        | {"mrr": {encoding: one.mrr for encoding, one in found_by.items()}},
        bars=bars(found, found_by),
    )


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
            up = record_bytes(compress(delta, {}, encoding=encoding)[0])
            down = record_bytes(to_record(state, encoding=encoding))
            found.append(Traffic(label or preset, part, encoding, count(state), up, down))
    return found


def drawn_like(state: Tensors) -> Tensors:
    """An update of the state's shapes."""
    draw = np.random.default_rng(0).standard_normal
    return {name: draw(array.shape, np.float32) * np.float32(1e-3) for name, array in state.items()}


def retrieval_of(bench: Bench, encoding: str) -> Retrieval:
    """What a short run whose tensors travel so in both directions finds on test after its last round."""
    config = FederationConfig(rounds=ROUNDS, local_epochs=EPOCHS, encoding=encoding, encoding_down=encoding)
    *_, last = bench.federate(bench.clients(CLIENTS), config)
    return bench.gallery.evaluate(last.state, "test")


def share(one: Traffic, found: list[Traffic]) -> float:
    """Of what FedAvg in fp32 over the whole model takes, in both directions."""
    plain = next(p for p in found if (p.model, p.part, p.encoding) == (one.model, WHOLE, PLAIN))
    return one.both / plain.both


def tables(found: list[Traffic], found_by: dict[str, Retrieval]) -> str:
    """Bytes by part and encoding; recall by encoding."""
    rows = [
        (one.model, one.part, one.encoding, f"{one.parameters:,}", f"{one.up:,}", f"{one.down:,}", _percent(one, found))
        for one in found
    ]
    head = ("model", "trained", "encoding", "parameters", "bytes up", "bytes down", "of fp32 over all")
    costs = [(encoding, f"{one.recall_at_10:.4f}", f"{one.mrr:.5f}") for encoding, one in found_by.items()]
    return f"{table(head, rows)}\n\n{table(('lite, heads, both directions', 'recall@10 on test', 'MRR'), costs)}"


def bars(found: list[Traffic], found_by: dict[str, Retrieval]) -> list[Bar]:
    """What heads in int8 may take, and what they may lose."""
    taken = [
        Bar(f"{one.model}: heads int8, share of fp32 FedAvg over the whole model", BAR, round(share(one, found), 6))
        for one in found
        if (one.part, one.encoding) == ("heads", COARSE)
    ]
    lost = round(found_by[PLAIN].recall_at_10 - found_by[COARSE].recall_at_10, 4)
    return [*taken, Bar("lite: recall@10 that heads int8 lose, both directions", LOSS_BAR, lost)]


def _percent(one: Traffic, found: list[Traffic]) -> str:
    return f"{share(one, found):.3%}"


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
