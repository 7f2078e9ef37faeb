"""The settings of a run, as the command line takes them."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console

from cli.errors import BadOption
from cli.federation.options import federation_config
from cli.federation.status import _text
from federation.config import FederationConfig
from federation.errors import FederationConfigError
from server.reports import RoundReport


def test_any_setting_can_be_set_by_its_key_with_dashes_or_underscores() -> None:
    config = federation_config(["local-epochs=5", "server_momentum = 0.5", "clients=a,b"], rounds=2)
    assert config == FederationConfig(rounds=2, local_epochs=5, server_momentum=0.5, clients="a,b")


def test_set_has_the_last_word() -> None:
    assert federation_config(["rounds=7"], rounds=2).rounds == 7


@pytest.mark.parametrize("field", dataclasses.fields(FederationConfig), ids=lambda field: field.name)
def test_every_setting_is_read_back_from_its_text(field: Any) -> None:
    config = federation_config([f"{field.name}={field.default}"])
    assert config == FederationConfig()
    assert type(getattr(config, field.name)) is type(field.default)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("local-epoch=5", "Did you mean local-epochs"),
        ("momentum=1", "server-momentum"),
        ("zzz=1", "batch-size"),
        ("rounds", "Give KEY=VALUE"),
        ("rounds=three", "a whole number"),
        ("rounds=2.5", "a whole number"),
        ("learning-rate=fast", "a number"),
    ],
)
def test_setting_that_makes_no_sense_is_refused_with_what_was_meant(setting: str, message: str) -> None:
    with pytest.raises(BadOption) as caught:
        federation_config([setting])
    assert message in str(caught.value)


def test_value_out_of_range_is_refused_by_the_config_itself() -> None:
    with pytest.raises(FederationConfigError, match="rounds is 0"):
        federation_config(["rounds=0"])


def test_status_shows_whom_it_waits_for_what_was_refused_and_on_how_much_each_client_trained() -> None:
    report = RoundReport(
        round=2, recall_at_10=0.2, recall_at_1=0.1, mrr=0.1, replies=1, rejected=1, bytes_up=1, bytes_down=1,
        seconds=1.0, loss=1.0, rejections=("boreal: It holds NaN or infinity.",), silent=("cobre: not online",),
        asked=3, late=4, coverage={"aurora": {"trained": 9_412, "held": 10_000, "skipped": {"cannot be read": 588}}},
    )  # fmt: skip
    found = {
        "stage": "failed",
        "message": "",
        "rounds": [report.as_dict()],
        "waiting_for": ["boreal"],
        "resumed_from": 1,
        "error": {"code": "server.quorum_missed", "message": "Too few.", "hint": "See the logs."},
    }
    console = Console(file=io.StringIO(), width=120)
    console.print(_text(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for said in (
        "waiting for boreal", "resumed after round 1", "Too few. See the logs. [server.quorum_missed]", "1 of 3",
        "round 2: boreal: It holds NaN or infinity.", "round 2: cobre: not online", "9,412", "cannot be read 588",
    ):  # fmt: skip
        assert said in text
