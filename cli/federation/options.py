"""What the commands that train have in common."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.errors import BadOption
from federation.config import ENCODINGS, STRATEGIES, TRAINABLE, FederationConfig

RoundsOption = Annotated[int, typer.Option(min=1, help="How many rounds.")]
PresetOption = Annotated[str, typer.Option(help="Model preset: lite, or tiny for a quick try.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the first heads, the batches and the dropout.")]
TrainableOption = Annotated[str, typer.Option(help=f"What is trained and travels: {', '.join(TRAINABLE)}.")]
StrategyOption = Annotated[str, typer.Option(help=f"How updates are combined: {', '.join(STRATEGIES)}.")]
EncodingOption = Annotated[str, typer.Option(help=f"How updates travel: {', '.join(ENCODINGS)}.")]
ClientNamesOption = Annotated[str, typer.Option(help="Names of the clients, separated by commas; empty: all.")]
RunArgument = Annotated[str, typer.Argument(help="Id of the run.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting of the run; may be given many times."),
]
KINDS: dict[type, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "a text"),
}
"""Type of a setting → how its text is read, and what to ask for."""


def federation_config(settings: list[str] | None = None, **values: Any) -> FederationConfig:
    """The config that the options of a command say; ``--set`` has the last word.

    Raises:
        BadOption: a setting is no KEY=VALUE, its key is unknown or its value is of another kind.
        FederationConfigError: a value is out of its range.
    """
    return FederationConfig(**{**values, **settings_given(settings)})


def settings_given(settings: list[str] | None) -> dict[str, Any]:
    """Fields of FederationConfig by name, from a list of KEY=VALUE; raises BadOption as `federation_config` does."""
    kinds = {field.name: KINDS[type(field.default)] for field in fields(FederationConfig)}
    values: dict[str, Any] = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        name = key.strip().replace("-", "_")
        if not equals:
            raise BadOption(f"The setting is {setting!r}.", hint="Give KEY=VALUE, as in --set local-epochs=5.")
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=3, cutoff=0.5) or sorted(kinds)
            raise BadOption(
                f"There is no setting {key.strip()!r}.", hint=f"Did you mean {', '.join(map(_dashed, near))}?"
            )
        read, kind = kinds[name]
        try:
            values[name] = read(value.strip())
        except ValueError:
            raise BadOption(f"{_dashed(name)} is {value!r}.", hint=f"Give {kind}.") from None
    return values


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def rounds_table(rounds: list[dict[str, Any]]) -> Table:
    """One line a round."""
    columns = ("round", "recall@10 (val)", "replies", "rejected", "late", "MB up", "MB down", "seconds")
    table = Table(*columns, title="Rounds")
    for entry in rounds:
        table.add_row(
            str(entry["round"]),
            f"{entry['recall_at_10']:.3f}",
            f"{entry['replies']} of {entry['asked']}",
            str(entry["rejected"]),
            str(entry["late"]),
            f"{entry['bytes_up'] / 1e6:.1f}",
            f"{entry['bytes_down'] / 1e6:.1f}",
            f"{entry['seconds']:.1f}",
        )
    return table


def refusals(rounds: list[dict[str, Any]]) -> list[Text]:
    """Why updates did not count, or did not come; one line each. A stranger's words are no markup."""
    return [
        Text(f"round {entry['round']}: {reason}")
        for entry in rounds
        for reason in (*entry["rejections"], *entry["silent"])
    ]


def result_text(result: dict[str, Any]) -> Group:
    """A run's rounds, and what came of them."""
    recall = result["recall_at_10"]
    return Group(
        rounds_table(result["rounds"]),
        *refusals(result["rounds"]),
        f"recall@10 on the test titles: {recall['zero_shot']:.3f} zero shot → {recall['challenger']:.3f} "
        f"({recall['queries']:,} titles, gallery of {recall['gallery']:,})",
    )
