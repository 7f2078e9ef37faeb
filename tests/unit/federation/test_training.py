from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from catalog.product import Product
from federation.config import FederationConfig
from federation.errors import FederationConfigError, NothingToLearn, PresetError
from federation.features import FeatureSource, ProductFeatures
from federation.heads import initial_tensors
from federation.presets import load_preset
from federation.training import train_heads

TINY = load_preset("tiny")
CONFIG = FederationConfig(preset="tiny", local_epochs=30, batch_size=16, dropout=0.1)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, products: list[Product]) -> ProductFeatures:
    return FeatureSource(TINY, root=tmp_path_factory.mktemp("cache"), owner="aurora").of(products)


def test_training_lowers_the_loss(features: ProductFeatures) -> None:
    start = initial_tensors(TINY, seed=0)
    one, many = (
        train_heads(start, features, preset=TINY, config=dataclasses.replace(CONFIG, local_epochs=n), seed=1)
        for n in (1, 30)
    )
    assert many.loss < one.loss
    assert many.examples == len(features)


def test_repeated_round_gives_the_same_delta_and_another_seed_does_not(features: ProductFeatures) -> None:
    start = initial_tensors(TINY, seed=0)
    config = dataclasses.replace(CONFIG, local_epochs=2)
    first, again, other = (train_heads(start, features, preset=TINY, config=config, seed=s).delta for s in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["image.weight"], other["image.weight"])


def test_training_leaves_the_start_unchanged(features: ProductFeatures) -> None:
    start = initial_tensors(TINY, seed=0)
    train_heads(start, features, preset=TINY, config=CONFIG, seed=1)
    for name, array in initial_tensors(TINY, seed=0).items():
        np.testing.assert_array_equal(start[name], array)


def test_single_product_has_nothing_to_contrast_with(features: ProductFeatures) -> None:
    alone = ProductFeatures(
        features.ids[:1], features.titles[:1], features.names[:1], features.images[:1], features.texts[:1]
    )
    with pytest.raises(NothingToLearn):
        train_heads(initial_tensors(TINY, seed=0), alone, preset=TINY, config=CONFIG, seed=0)


def test_last_batch_of_one_product_is_left_out(features: ProductFeatures) -> None:
    config = dataclasses.replace(CONFIG, batch_size=29, local_epochs=1)
    update = train_heads(initial_tensors(TINY, seed=0), features, preset=TINY, config=config, seed=0)
    assert np.isfinite(update.loss)


def test_config_survives_the_trip_through_flower() -> None:
    config = FederationConfig(preset="tiny", rounds=7, learning_rate=1e-4, quorum=0.75)
    assert FederationConfig.from_run_config(config.to_run_config() | {"run-key": "x"}) == config
    assert FederationConfig.from_run_config({"deadline-s": 5}).deadline_s == 5.0


def test_pyproject_holds_the_same_defaults() -> None:
    """Flower rejects keys that pyproject does not declare."""
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text()
    declared = tomllib.loads(text)["tool"]["flwr"]["app"]["config"]
    assert {k: v for k, v in declared.items() if k != "run-key"} == FederationConfig().to_run_config()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rounds", 0),
        ("rounds", True),
        ("local_epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("dropout", 1.0),
        ("quorum", 0.0),
        ("quorum", 1.1),
        ("min_clients", 0),
        ("deadline_s", float("inf")),
        ("strategy", "magic"),
        ("trainable", "everything"),
        ("seed", -1),
        ("rounds", "three"),
    ],
)
def test_senseless_setting_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(FederationConfigError, match=name):
        FederationConfig.from_run_config({name.replace("_", "-"): value})


def test_unknown_preset_is_refused_with_the_config() -> None:
    with pytest.raises(PresetError):
        FederationConfig(preset="giant")


@pytest.mark.parametrize(("clients", "quorum", "needed"), [(3, 0.5, 2), (3, 1.0, 3), (1, 0.5, 1), (10, 0.05, 1)])
def test_quorum_counts_whole_clients(clients: int, quorum: float, needed: int) -> None:
    assert FederationConfig(quorum=quorum).replies_needed(clients) == needed
