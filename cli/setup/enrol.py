"""`tejido setup enrol`: makes a client of a deployment in containers known to the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.limits import MaxExamplesOption, NoMaxExamplesOption, said_limit
from cli.output import Format, FormatOption, emit
from core.names import checked_client_name
from core.settings import load_settings
from deployment.enrolment import enrol as make_known


def enrol(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    share: Annotated[Path, typer.Option(help="What the client's set-up left for the platform.")] = Path("/enrolment"),
    max_examples: MaxExamplesOption = None,
    no_max_examples: NoMaxExamplesOption = False,
    how: FormatOption = Format.TEXT,
) -> None:
    """Make a client's bucket, register its node's key in place of an older one, and list it for the partition."""
    limit = said_limit(max_examples, none=no_max_examples)
    make_known(load_settings(), share, checked_client_name(name), limit=limit)
    emit({"client": name}, how, lambda result: f"{result['client']} is enrolled.")
