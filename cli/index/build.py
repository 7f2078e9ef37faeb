"""`tejido index build`: embed the catalogue with the champion, and swap the new version in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.indexing import build_index


def build(
    rebuild: Annotated[bool, typer.Option(help="Build even if the live version is up to date.")] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Build, verify and swap in an index version of the champion; queries go on meanwhile."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = build_index(settings, progress, rebuild=rebuild)
    emit(result, how, _text)


def _text(result: dict[str, Any]) -> str:
    done = "is up to date" if result["up_to_date"] else f"was built in {result['seconds']} s"
    return f"Index version {result['version']} ({result['products']:,} products) {done} and is live."
