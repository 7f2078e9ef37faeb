from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from federation.config import PRIVATE_STRATEGIES, STRATEGIES, FederationConfig
from federation.errors import FederationConfigError, PresetError


def test_config_survives_the_trip_through_flower() -> None:
    config = FederationConfig(preset="tiny", rounds=7, learning_rate=1e-4, quorum=0.75)
    assert FederationConfig.from_run_config(config.to_run_config() | {"run-key": "x"}) == config
    assert FederationConfig.from_run_config({"deadline-s": 5}).deadline_s == 5.0


def test_pyproject_holds_the_same_defaults() -> None:
    """Flower rejects keys that pyproject does not declare."""
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text()
    declared = tomllib.loads(text)["tool"]["flwr"]["app"]["config"]
    told_by_the_starter = {"run-key", "code-commit", "contract", "contract-signature", "task"}
    assert {k: v for k, v in declared.items() if k not in told_by_the_starter} == FederationConfig().to_run_config()


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
        ("head", "round"),
        ("encoding", "fp8"),
        ("sample", 0.0),
        ("norm_bound", 1.0),
        ("image_blocks", -2),
        ("views", 0),
        ("proximal_mu", -1.0),
        ("final_learning_rate", 0.0),
        ("trainable", "everything"),
        ("seed", -1),
        ("rounds", "three"),
        ("privacy", "some"),
        ("clip_norm", 0.0),
        ("clip_norm", float("inf")),
        ("noise_multiplier", 0.0),
        ("delta", 0.0),
        ("delta", 0.5),
        ("epsilon_budget", float("nan")),
        ("purpose", ""),
        ("purpose", "x" * 501),
        ("update_bytes", 0),
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


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in PRIVATE_STRATEGIES])
def test_strategy_by_which_one_update_decides_about_others_is_refused_in_a_private_run(strategy: str) -> None:
    with pytest.raises(FederationConfigError, match=strategy) as caught:
        FederationConfig(privacy="client-level", strategy=strategy)
    assert "in a private run" in caught.value.hint
    assert FederationConfig(strategy=strategy).strategy == strategy


def test_private_run_needs_three_clients_whatever_it_says() -> None:
    private = FederationConfig(privacy="client-level", min_clients=1, quorum=0.1)
    assert (private.clients_needed, private.replies_needed(4)) == (3, 3)
    assert FederationConfig(privacy="client-level", min_clients=8).clients_needed == 8
    assert FederationConfig(min_clients=1, quorum=0.1).clients_needed == 1


def test_named_clients_are_read_once_each_and_sorted() -> None:
    assert FederationConfig(clients="cobre, aurora,cobre,").client_names == ("aurora", "cobre")
    assert FederationConfig().client_names == ()
