"""`tejido setup enrol`: makes a client of a deployment in containers known to the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import Format, FormatOption, emit
from core.names import checked_client_name
from core.settings import load_settings
from deployment.enrolment import enrol as make_known


def enrol(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    share: Annotated[Path, typer.Option(help="What the client's set-up left for the platform.")] = Path("/enrolment"),
    max_examples: Annotated[int | None, typer.Option(min=1, help="Products that it may train on at most.")] = None,
    how: FormatOption = Format.TEXT,
) -> None:
    """Make a client's bucket, register its node's key in place of an older one, and list it for the partition."""
    make_known(load_settings(), share, checked_client_name(name), max_examples=max_examples)
    emit({"client": name}, how, lambda result: f"{result['client']} is enrolled.")
