"""Everything that is trained and evaluated lies on one device, which may be a GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from catalog.product import Product
from federation import model, towers
from federation.config import FederationConfig
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.features import FeatureSource
from federation.losses import contrastive_loss
from federation.model import build_model, initial_model
from federation.spec import ModelSpec
from federation.tensors import Tensors
from federation.towers.stages import Hidden, run
from federation.training import train
from tests.models import tiny_config

TRAINABLE = ("heads", "lora", "full")
CPU = torch.device("cpu")


def compute_on(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (model, towers):
        monkeypatch.setattr(module, "compute_device", lambda: device)


def config_of(trainable: str, **changes: object) -> FederationConfig:
    return dataclasses.replace(tiny_config(trainable=trainable, head="residual", lora_rank=2), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trainable", "preset"), [("heads", "tiny"), ("lora", "tiny"), ("full", "tiny"), ("full", "lite")]
)
def test_no_step_mixes_devices(monkeypatch: pytest.MonkeyPatch, trainable: str, preset: str) -> None:
    """PyTorch refuses to compute on two devices at once; tensors on `meta` have a device and no values."""
    spec = ModelSpec.of(config_of(trainable, preset=preset))
    compute_on(torch.device("meta"), monkeypatch)
    lazy = LazyTowers(spec.preset)
    size = spec.preset.image_size
    pictures = Hidden(torch.zeros((4, size, size, 3), dtype=torch.uint8))
    words = Hidden(torch.ones((4, 5), dtype=torch.int64), torch.full((4,), 5))
    below = run(lazy().image.below(spec.image_cut), pictures.to(lazy().device))
    below_text = run(lazy().text.below(spec.text_cut), words.to(lazy().device))
    learner = build_model(spec, lazy)
    # As they come from the cache: on the CPU.
    cached = Hidden(torch.zeros_like(below.values, device=CPU))
    cached_text = Hidden(torch.zeros_like(below_text.values, device=CPU), words.lengths)
    image, text = learner.embed_images(cached), learner.embed_texts(cached_text)
    loss = contrastive_loss(image, text, learner.heads.scale, torch.eye(4).bool().to(image.device))
    loss.backward()  # type: ignore[no-untyped-call]
    assert {tensor.device.type for tensor in (loss, below.values, below_text.values)} == {"meta"}
    assert {parameter.grad.device.type for parameter in learner.trained().values() if parameter.grad is not None} == {
        "meta"
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("trainable", TRAINABLE)
def test_a_gpu_learns_and_encodes_what_the_cpu_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, products: list[Product], trainable: str
) -> None:
    config = config_of(trainable, local_epochs=2, dropout=0.2, optimiser_state="kept", micro_batch=8)
    spec = ModelSpec.of(config)
    found: list[tuple[Tensors, np.ndarray]] = []
    for device in (CPU, torch.device("cuda")):
        compute_on(device, monkeypatch)
        lazy = LazyTowers(spec.preset)
        features = FeatureSource(spec, root=tmp_path / device.type, owner="aurora", towers=lazy).of(products)
        learner = initial_model(spec, lazy)
        moments = None
        for number in (1, 2):
            update = train(learner, features, config=config, round_number=number, seed=number, moments=moments)
            moments = update.moments
        vectors = Encoder(learner, towers=lazy).encode_texts(["a red shirt", "shoes"])
        found.append((update.delta, vectors))
    (on_cpu, cpu_vectors), (on_gpu, gpu_vectors) = found
    for name in on_cpu:
        np.testing.assert_allclose(on_gpu[name], on_cpu[name], rtol=0.05, atol=1e-3)
    np.testing.assert_allclose(gpu_vectors, cpu_vectors, atol=0.01)
