from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from federation.activations import ActivationCache
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.errors import FederationConfigError, HeadsError, PresetError
from federation.features import FeatureSource
from federation.heads import Heads
from federation.model import build_model, initial_model, initial_state, trained_model
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.tensors import from_safetensors
from federation.towers.stages import run
from tests.models import tiny_config, tiny_spec, tiny_state

PARTS = ["heads", "lora", "full"]


@pytest.fixture(scope="module")
def towers() -> LazyTowers:
    return LazyTowers(load_preset("tiny"))


def shirt(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("trainable", PARTS)
def test_part_above_the_cuts_starts_as_the_pretrained_towers(trainable: str, towers: LazyTowers) -> None:
    """Whatever is trained, the untrained model maps a picture and a text to the same place."""
    reference = Encoder.load(tiny_spec(), tiny_state(), towers=towers)
    spec = tiny_spec(trainable=trainable)
    encoder = Encoder.load(spec, initial_state(spec, towers), towers=towers)
    pictures = [shirt("red"), shirt("blue")]
    np.testing.assert_allclose(encoder.encode_images(pictures), reference.encode_images(pictures), atol=5e-3)
    np.testing.assert_allclose(encoder.encode_texts(["red"]), reference.encode_texts(["red"]), atol=5e-3)


@pytest.mark.parametrize("trainable", PARTS)
def test_encoder_gives_unit_vectors_and_agrees_with_what_is_cached(
    trainable: str, towers: LazyTowers, tmp_path: Path
) -> None:
    spec = tiny_spec(trainable=trainable, seed=1)
    encoder = Encoder.load(spec, initial_state(spec, towers), towers=towers)
    pictures = [shirt("red"), shirt("blue")]
    vectors = encoder.encode_images(pictures)
    assert vectors.shape == (2, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    source = FeatureSource(spec, root=tmp_path, owner="coordinator", towers=towers)
    np.testing.assert_allclose(
        encoder.embed_texts(source.of_texts(["red", "blue"])), encoder.encode_texts(["red", "blue"]), atol=1e-6
    )


def test_adapters_fold_into_the_maps_without_changing_the_model(towers: LazyTowers) -> None:
    spec = tiny_spec(trainable="lora")
    state = initial_state(spec, towers)
    generator = np.random.default_rng(0)
    state = {name: a + 0.1 * generator.standard_normal(a.shape).astype(np.float32) for name, a in state.items()}
    hidden = towers().tokens(["red shirt", "blue"])
    below = run(towers().text.below(spec.text_cut), hidden)
    with torch.inference_mode():
        apart = trained_model(spec, state, towers).embed_texts(below)
        folded = trained_model(spec, state, towers).freeze_for_serving().embed_texts(below)
    torch.testing.assert_close(apart, folded, atol=1e-5, rtol=1e-4)


def test_fixed_halves_of_the_adapters_come_from_the_seed_and_do_not_travel(towers: LazyTowers) -> None:
    def fixed(seed: int) -> dict[str, np.ndarray]:
        model = build_model(tiny_spec(trainable="lora", seed=seed), towers)
        return {name: p.detach().numpy() for name, p in model.named_parameters() if "lora_A" in name}

    first, again, other = fixed(1), fixed(1), fixed(2)
    assert first
    assert not any("lora_A" in name for name in tiny_state(trainable="lora"))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
        assert not np.array_equal(array, other[name])
        assert 0.5 < array.std() * array[0].size ** 0.5 < 2


def test_lora_is_a_small_part_of_what_full_trains(towers: LazyTowers) -> None:
    sizes = {
        trainable: sum(a.size for a in initial_state(tiny_spec(trainable=trainable, lora_rank=2), towers).values())
        for trainable in PARTS
    }
    assert sizes["heads"] < sizes["lora"] < sizes["heads"] + 0.2 * (sizes["full"] - sizes["heads"])


def test_full_with_all_blocks_trains_every_parameter_of_the_towers(towers: LazyTowers) -> None:
    spec = tiny_spec(trainable="full", image_blocks=-1, text_blocks=-1)
    stages = [*towers().image.modules(), *towers().text.modules()]
    in_towers = sum(p.numel() for stage in stages for p in stage.parameters())
    in_heads = sum(a.size for a in tiny_state().values())
    assert sum(a.size for a in initial_state(spec, towers).values()) == in_towers + in_heads


def test_heads_alone_are_built_without_the_towers() -> None:
    lazy = LazyTowers(load_preset("tiny"))
    initial_model(tiny_spec(), lazy)
    assert not lazy.are_loaded


def test_more_blocks_than_there_are_is_refused_by_name() -> None:
    with pytest.raises(FederationConfigError, match="image_blocks is 3"):
        ModelSpec.of(tiny_config(trainable="lora", image_blocks=3))
    assert ModelSpec.of(tiny_config(trainable="heads", image_blocks=3)).image_cut == 1


def test_spec_survives_as_json_and_damage_is_told() -> None:
    spec = tiny_spec(trainable="lora", lora_rank=3, seed=7)
    assert ModelSpec.from_json(spec.to_json()) == spec
    for broken in ("", "{}", json.dumps({"preset": {}})):
        with pytest.raises(PresetError):
            ModelSpec.from_json(broken)


def test_tensors_of_another_model_are_refused() -> None:
    with pytest.raises(HeadsError, match="expects"):
        Encoder.load(ModelSpec.of(tiny_config(preset="lite")), tiny_state())
    with pytest.raises(HeadsError, match=r"heads\.image\.first"):
        Encoder.load(tiny_spec(head="residual"), tiny_state())


def test_damaged_tensors_are_refused() -> None:
    with pytest.raises(HeadsError):
        from_safetensors(b"\x80\x04pickle")
    broken = tiny_state()
    broken["heads.log_scale"] = np.array(np.nan, np.float32)
    with pytest.raises(HeadsError, match="finite"):
        Encoder.load(tiny_spec(), broken)


def test_temperature_stays_within_its_bounds() -> None:
    heads = Heads(load_preset("tiny"))
    heads.log_scale.data.fill_(50.0)
    assert float(heads.scale.detach()) == pytest.approx(100.0)
    heads.log_scale.data.fill_(-3.0)
    assert float(heads.scale.detach()) == 1.0


def test_token_ids_and_pixels_are_cached_as_they_are(tmp_path: Path, towers: LazyTowers) -> None:
    spec = tiny_spec(trainable="full", image_blocks=-1, text_blocks=-1)
    source = FeatureSource(spec, root=tmp_path, owner="aurora", towers=towers)
    ids = source.of_texts(["red shirt"]).rows[0]
    assert ids.tolist() == towers().tokens(["red shirt"]).values[0].tolist()
    assert len(ActivationCache(next((tmp_path / "aurora").iterdir()), "text-input", dtype="int32")) == 1
