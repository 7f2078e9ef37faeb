from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from federation.encoding import LazyTowers, encode_images, encode_texts, image_batch, text_batch
from federation.errors import PresetError, WeightsError
from federation.model import initial_model
from federation.presets import Weights, file_sha256, load_preset, parse_preset, preset_names
from federation.spec import ModelSpec
from federation.torch_fixes import prepare_for_open_clip
from federation.towers import build_towers
from tests.models import tiny_config

FROM_THE_HUB = {"vit-b-32", "fashion-clip"}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_read(name: str) -> None:
    assert load_preset(name).name == name


@pytest.mark.parametrize("name", sorted(set(preset_names()) - FROM_THE_HUB))
def test_weights_that_come_with_packages_are_the_pinned_ones(name: str) -> None:
    preset = load_preset(name)
    assert all(weights.sha256 for weights in preset.weights)
    preset.verify_weights()


@pytest.mark.parametrize("name", sorted(FROM_THE_HUB))
def test_weights_from_the_hub_say_how_to_get_them_where_the_hub_cannot_be_reached(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="TEJIDO_WEIGHTS_DIR"):
        load_preset(name).verify_weights()
    with pytest.raises(WeightsError):
        _ = load_preset(name).base_hash


@pytest.mark.parametrize("name", sorted(set(preset_names()) - FROM_THE_HUB))
def test_parameters_of_the_whole_model_are_those_of_its_towers_and_heads(name: str) -> None:
    preset = load_preset(name)
    towers = build_towers(preset)
    stages = [*towers.image.modules(), *towers.text.modules()]
    in_towers = {id(tensor): tensor.numel() for stage in stages for tensor in stage.parameters()}
    heads = preset.embed_dim * (preset.image_features + preset.text_features)
    assert preset.parameters == sum(in_towers.values()) + heads + 1


@pytest.mark.parametrize("name", sorted(FROM_THE_HUB))
def test_parameters_of_a_model_of_open_clip_are_those_of_its_architecture(name: str) -> None:
    prepare_for_open_clip()
    from open_clip.model import CLIP

    preset = load_preset(name)
    with torch.device("meta"):
        assert preset.parameters == sum(tensor.numel() for tensor in CLIP(**preset.open_clip).parameters())


def test_a_model_whose_parameters_nobody_counted_has_none(small_clip: str) -> None:
    assert load_preset(small_clip).parameters is None


@pytest.mark.parametrize("name", ["nope", "../lite", "", "lite.json"])
def test_unknown_preset_lists_the_known_ones(name: str) -> None:
    with pytest.raises(PresetError, match="lite"):
        load_preset(name)


def test_malformed_preset_is_refused() -> None:
    with pytest.raises(PresetError):
        parse_preset("{}")
    with pytest.raises(PresetError):
        parse_preset("not json")


def test_other_weights_are_refused_and_change_the_base_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEJIDO_WEIGHTS_DIR", str(tmp_path))
    preset = load_preset("lite")
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")
    forged = dataclasses.replace(preset, weights=(dataclasses.replace(preset.weights[0], path=f"file:{path.name}"),))
    with pytest.raises(WeightsError, match="pins"):
        forged.verify_weights()
    with pytest.raises(WeightsError, match="pins"):
        build_towers(forged)
    pinned = dataclasses.replace(preset, weights=(dataclasses.replace(preset.weights[0], sha256="0" * 64),))
    assert pinned.base_hash != preset.base_hash


def test_file_that_changes_after_it_was_checked_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEJIDO_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "weights.pt").write_bytes(b"good")
    pinned = Weights("both", "open_clip", "file:weights.pt", file_sha256(tmp_path / "weights.pt"))
    assert pinned.verified_path() == tmp_path / "weights.pt"
    (tmp_path / "weights.pt").write_bytes(b"swapped")
    with pytest.raises(WeightsError, match="pins"):
        pinned.verified_path()


def test_missing_weights_say_what_is_missing() -> None:
    preset = load_preset("lite")
    gone = dataclasses.replace(preset.weights[0], path="package:no_such_package/x.pth")
    with pytest.raises(WeightsError, match="no_such_package"):
        gone.verified_path()


def test_base_hash_depends_on_what_decides_a_feature_and_not_on_the_heads() -> None:
    source = json.loads(load_preset("lite").source)
    base = parse_preset(json.dumps(source)).base_hash
    source["heads"]["embed_dim"] = 128
    source["summary"] = "other words"
    assert parse_preset(json.dumps(source)).base_hash == base
    source["image"]["size"] = 128
    assert parse_preset(json.dumps(source)).base_hash != base


@pytest.fixture
def small_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A real, small architecture of open_clip with weights of its own in a local file."""
    prepare_for_open_clip()
    from open_clip.model import CLIP

    architecture = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    monkeypatch.setattr("federation.presets.open_clip.architecture", lambda model: architecture)
    monkeypatch.setenv("TEJIDO_WEIGHTS_DIR", str(tmp_path))
    torch.manual_seed(1)
    torch.save(CLIP(**architecture, output_dict=True).state_dict(), tmp_path / "small.pt")
    return "open_clip:ViT-S-Test@small.pt"


def test_any_open_clip_model_with_local_weights_starts_as_what_it_was_trained_to_be(
    small_clip: str, tmp_path: Path
) -> None:
    """Zero shot through cuts and heads gives what open_clip itself computes from the file."""
    from open_clip.model import CLIP

    preset = load_preset(small_clip)
    original = CLIP(**{k: preset.open_clip[k] for k in ("embed_dim", "vision_cfg", "text_cfg")}).eval()
    original.load_state_dict(torch.load(tmp_path / "small.pt", weights_only=True))
    towers = LazyTowers(preset)
    tokens = towers().tokens(["red shirt", "a pair of blue shoes"])
    shown = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    pixels = ((torch.from_numpy(shown) / 255 - torch.tensor(preset.mean)) / torch.tensor(preset.std)).permute(
        0, 3, 1, 2
    )
    with torch.inference_mode():
        padded = torch.nn.functional.pad(tokens.values, (0, 77 - tokens.values.shape[1]))
        expected = original.encode_image(pixels, normalize=True) @ original.encode_text(padded, normalize=True).T
        for part in ("heads", "lora", "full"):
            spec = ModelSpec.of(tiny_config(preset=small_clip, trainable=part))
            model = initial_model(spec, towers)
            image = image_batch(encode_images(towers(), list(shown), spec.image_cut))
            text = text_batch(encode_texts(towers(), ["red shirt", "a pair of blue shoes"], spec.text_cut))
            found = model.embed_images(image) @ model.embed_texts(text).T
            torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)
            assert float(model.heads.log_scale) == pytest.approx(float(original.logit_scale))


def test_q_k_v_and_o_of_every_chosen_block_get_an_adapter(small_clip: str) -> None:
    spec = ModelSpec.of(tiny_config(preset=small_clip, trainable="lora", image_blocks=2, text_blocks=1, lora_rank=4))
    names = [name for name in initial_model(spec, LazyTowers(spec.preset)).trained() if "lora" in name]
    assert len(names) == 4 * (2 + 1)
    assert {part for name in names for part in ("query", "key", "value", "out") if f".{part}." in name} == {
        "query", "key", "value", "out",
    }  # fmt: skip


def test_run_pins_the_weights_that_its_coordinator_has(small_clip: str, tmp_path: Path) -> None:
    ours = load_preset(small_clip).base_hash
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    assert load_preset("open_clip:ViT-S-Test@other.pt").base_hash != ours


def test_weights_of_another_architecture_are_refused(small_clip: str, tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="does not fit"):
        build_towers(load_preset("open_clip:ViT-S-Test@other.pt"))


@pytest.mark.parametrize("name", ["open_clip:ViT-B-32", "open_clip:ViT-B-32@../../etc/passwd", "open_clip:@x",
                                  "open_clip:ViT-B-32@/etc/passwd", "open_clip:No-Such-Model@x.pt"])  # fmt: skip
def test_a_run_cannot_name_a_file_outside_the_weights_folder(name: str) -> None:
    with pytest.raises(PresetError):
        load_preset(name)


def test_architectures_of_open_clip_are_read_without_importing_it() -> None:
    preset = load_preset("open_clip:ViT-B-32-quickgelu@any.pt")
    assert (preset.image_blocks, preset.text_blocks, preset.image_features, preset.embed_dim) == (12, 12, 768, 512)
    assert preset.open_clip["quick_gelu"] is True
    timm = load_preset("open_clip:ViT-B-16-SigLIP@any.pt")
    assert timm.image_blocks == 0
