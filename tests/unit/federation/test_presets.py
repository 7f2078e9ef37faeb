from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from federation.errors import PresetError, WeightsError
from federation.model import build_towers
from federation.presets import load_preset, parse_preset, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_read_and_its_weights_are_the_pinned_ones(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    preset.verify_weights()


@pytest.mark.parametrize("name", ["nope", "../lite", "", "lite.json"])
def test_unknown_preset_lists_the_known_ones(name: str) -> None:
    with pytest.raises(PresetError, match="lite"):
        load_preset(name)


def test_malformed_preset_is_refused() -> None:
    with pytest.raises(PresetError):
        parse_preset("{}")
    with pytest.raises(PresetError):
        parse_preset("not json")


def test_other_weights_are_refused_and_change_the_base_hash(tmp_path: Path) -> None:
    preset = load_preset("lite")
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")
    forged = dataclasses.replace(preset, weights=(dataclasses.replace(preset.weights[0], path=str(path)),))
    with pytest.raises(WeightsError, match="pins"):
        forged.verify_weights()
    with pytest.raises(WeightsError, match="pins"):
        build_towers(forged)
    pinned = dataclasses.replace(preset, weights=(dataclasses.replace(preset.weights[0], sha256="0" * 64),))
    assert pinned.base_hash != preset.base_hash


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
