"""The model above the cuts: what is trained, travels and is served. What lies below is in features.py."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from federation.adapters import add_adapters, merge_adapters
from federation.device import compute_device
from federation.encoding import LazyTowers
from federation.errors import HeadsError
from federation.heads import Heads, linear_part
from federation.precision import Precision
from federation.spec import ModelSpec
from federation.tensors import Tensor32, Tensors
from federation.towers.stages import Hidden, Stage, run, run_by_length

HEADS = "heads."


class Model(nn.Module):
    """Activations at the cuts → unit vectors of the common space.

    Always in evaluation mode, also while it learns: batch statistics and the towers' own dropout stay as pretrained.
    """

    def __init__(self, spec: ModelSpec, heads: Heads, *, image: list[Stage], text: list[Stage]) -> None:
        super().__init__()
        self.spec = spec
        self.image, self.text = nn.ModuleList(image), nn.ModuleList(text)
        self.heads = heads
        for number, stages in enumerate((self.image, self.text)):
            if spec.trainable == "lora":
                add_adapters(stages, rank=spec.lora_rank, alpha=spec.lora_alpha, seed=2 * spec.seed + number)
            else:
                stages.requires_grad_(spec.trainable == "full")
        self.eval()
        self.to(compute_device())

    @property
    def device(self) -> torch.device:
        """Where it computes, and where what it gives lies; what it is given may come from elsewhere."""
        return self.heads.log_scale.device

    def image_features(self, hidden: Hidden) -> Tensor:
        """(B, image_features), ready for the head."""
        return self.heads.prepare(run(list(self.image), hidden.to(self.device)).values.float())  # type: ignore[arg-type]

    def text_features(self, hidden: Hidden) -> Tensor:
        """(B, text_features), ready for the head."""
        return self.heads.prepare(run_by_length(list(self.text), hidden.to(self.device)).float())  # type: ignore[arg-type]

    def embed_images(self, hidden: Hidden) -> Tensor:
        """(B, D) unit vectors."""
        return self.heads.embed_images(self.image_features(hidden))

    def embed_texts(self, hidden: Hidden) -> Tensor:
        """(B, D) unit vectors."""
        return self.heads.embed_texts(self.text_features(hidden))

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained and travel, by name, in a fixed order."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def state(self) -> Tensors:
        """A copy of what is trained."""
        return {name: p.detach().cpu().numpy().copy() for name, p in self.trained().items()}

    def load(self, tensors: Mapping[str, Tensor32]) -> None:
        """Take over a state.

        Raises:
            HeadsError: names, shapes or types are not this model's, or a value is not finite.
        """
        trained = self.trained()
        expected = {name: tuple(p.shape) for name, p in trained.items()}
        found = {name: tuple(array.shape) for name, array in tensors.items()}
        if found != expected:
            raise HeadsError(
                f"The tensors are {_listed(found, expected)}, {self.spec.preset.name} expects others.",
                hint="Take tensors of the same preset and trainable part.",
            )
        with torch.no_grad():
            for name, parameter in trained.items():
                array = tensors[name]
                if array.dtype != np.float32 or not np.isfinite(array).all():
                    raise HeadsError(f"The tensor {name} is not finite float32.", hint="It is damaged: train again.")
                parameter.copy_(torch.from_numpy(np.array(array)))

    def freeze_for_serving(self) -> Model:
        """Fold adapters in and forget gradients: for a model that only answers from now on."""
        for stages in (self.image, self.text):
            if self.spec.trainable == "lora":
                merge_adapters(stages)
        return self.requires_grad_(False)

    def serve_in(self, *, image: Precision, text: Precision) -> None:
        """Answer faster from now on, the towers' stages in these precisions; the heads stay float32."""
        from federation.towers.serving import DTYPES, served_stages

        self.image = nn.ModuleList(served_stages(list(self.image), DTYPES[image]))  # type: ignore[arg-type]
        self.text = nn.ModuleList(served_stages(list(self.text), DTYPES[text]))  # type: ignore[arg-type]


def build_model(spec: ModelSpec, towers: LazyTowers) -> Model:
    """The untrained model of ``spec``; the towers are loaded only if it needs them, and never changed.

    Raises:
        WeightsError: the base weights are missing or not the pinned ones.
    """
    heads = Heads(spec.preset, head=spec.head, seed=spec.seed)
    image: list[Stage] = []
    text: list[Stage] = []
    if spec.needs_towers:
        image = copy.deepcopy(towers.exact().image.above(spec.image_cut))
        text = copy.deepcopy(towers.exact().text.above(spec.text_cut))
    return Model(spec, heads, image=image, text=text)


def initial_model(spec: ModelSpec, towers: LazyTowers) -> Model:
    """The model that a run starts from: its heads are the pretrained projections where the preset has them."""
    model = build_model(spec, towers)
    if spec.preset.head_start == "pretrained":
        projections = towers.exact().projections
        if projections is None:
            raise AssertionError("towers of such a preset come with projections")
        with torch.no_grad():
            linear_part(model.heads.image).weight.copy_(torch.from_numpy(projections.image))
            linear_part(model.heads.text).weight.copy_(torch.from_numpy(projections.text))
            model.heads.log_scale.fill_(projections.log_scale)
    return model


def initial_state(spec: ModelSpec, towers: LazyTowers) -> Tensors:
    """The tensors of `initial_model`: what a run starts from, and its zero-shot baseline."""
    return initial_model(spec, towers).state()


def trained_model(spec: ModelSpec, tensors: Mapping[str, Tensor32], towers: LazyTowers) -> Model:
    """The model of ``spec`` with this state; raises HeadsError when the two do not belong together."""
    model = build_model(spec, towers)
    model.load(tensors)
    return model


def _listed(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> str:
    """What differs, not hundreds of names."""
    differing = [f"{name} {found.get(name, 'missing')}" for name in sorted(set(found) | set(expected))
                 if found.get(name) != expected.get(name)]  # fmt: skip
    more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
    return ", ".join(differing[:4]) + more
