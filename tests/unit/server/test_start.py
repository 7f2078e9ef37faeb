from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from catalog.objects import DirectoryStore
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.model import initial_state
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.errors import RunDiffers, RunUnknown
from server.memory import Memory
from server.reports import RoundReport
from server.start import go_on_from, learned_before
from tests.models import tiny_config

CONFIG = tiny_config(rounds=1)
BASE = load_preset("tiny").base_hash
REPORT = RoundReport(
    round=1, recall_at_10=0.2, recall_at_1=0.1, mrr=0.1, replies=2, rejected=0, bytes_up=1, bytes_down=1, seconds=1.0,
    loss=1.0,
)  # fmt: skip


def start_of(config: FederationConfig) -> Tensors:
    return initial_state(ModelSpec.of(config), LazyTowers(load_preset("tiny")))


def completed(store: DirectoryStore, config: FederationConfig, *, base_hash: str = BASE) -> Tensors:
    """A run that learned to add 1 everywhere."""
    folder = RunFolder(store, "heads-first")
    folder.take_over()
    folder.begin(About(config.to_run_config(), "v1", base_hash))
    state = {name: array + np.float32(1) for name, array in start_of(config).items()}
    folder.commit(Checkpoint(state, {}, Memory(), (REPORT,), best_round=1))
    folder.finish({"chosen_round": 1})
    return state


def test_run_that_names_none_starts_from_the_base(tmp_path: Path) -> None:
    initial = start_of(CONFIG)
    assert go_on_from(initial, learned_before(DirectoryStore(tmp_path), CONFIG, BASE)) == initial


@pytest.mark.parametrize("trainable", ["heads", "lora", "full"])
def test_run_starts_from_what_an_earlier_one_learned_and_trains_more(tmp_path: Path, trainable: str) -> None:
    store = DirectoryStore(tmp_path)
    heads = completed(store, CONFIG)
    config = dataclasses.replace(CONFIG, trainable=trainable, start_from="heads-first")
    initial = start_of(config)
    state = go_on_from(initial, learned_before(store, config, BASE))
    assert set(state) == set(initial)
    for name, array in state.items():
        np.testing.assert_array_equal(array, heads.get(name, initial[name]))


def test_run_that_would_train_less_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    completed(store, dataclasses.replace(CONFIG, trainable="full"))
    config = dataclasses.replace(CONFIG, start_from="heads-first")
    with pytest.raises(RunDiffers, match="tensors that this one does not"):
        go_on_from(start_of(config), learned_before(store, config, BASE))


def test_adapters_of_another_seed_are_refused(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    completed(store, dataclasses.replace(CONFIG, trainable="lora"))
    config = dataclasses.replace(CONFIG, trainable="lora", seed=1, start_from="heads-first")
    with pytest.raises(RunDiffers, match="another seed"):
        learned_before(store, config, BASE)


def test_run_of_another_base_is_refused(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    completed(store, CONFIG, base_hash="0" * 64)
    with pytest.raises(RunDiffers, match="the base model 000000000000"):
        learned_before(store, dataclasses.replace(CONFIG, start_from="heads-first"), BASE)


def test_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunUnknown, match="nobody"):
        learned_before(DirectoryStore(tmp_path), dataclasses.replace(CONFIG, start_from="nobody"), BASE)
