"""`tejido model rollback`: an earlier champion serves again, and its index with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.rollback import rollback as roll_back


def rollback(
    reason: Annotated[str, typer.Option(help="Why; `tejido model history` shows it.")],
    to: Annotated[str | None, typer.Option(help="A version that was champion; by default the one before.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Make the previous champion the champion again, and its index live if it is still there."""
    if not reason.strip():
        raise BadOption("--reason must say why.")
    emit(roll_back(platform_settings(state), reason=reason.strip(), to=to), how, _text)


def _text(result: dict[str, Any]) -> str:
    return f"Version {result['version']} is the champion again, after {result['was']}. {result['index']['message']}"
