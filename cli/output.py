"""One way to print a result: readable for people, one JSON object for programs, nothing else on stdout."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from core.errors import TejidoError


class Format(StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print the result.")]

console = Console()
"""Results. Rich leaves out colours when stdout is not a terminal."""
stderr = Console(stderr=True)
"""Progress and errors."""


def emit(result: dict[str, Any], how: Format, as_text: Callable[[dict[str, Any]], object]) -> None:
    """Print ``result`` once: as JSON on one line, or as whatever ``as_text`` renders."""
    if how is Format.JSON:
        print(json.dumps(result, ensure_ascii=False), flush=True)
        return
    rendered = as_text(result)
    if isinstance(rendered, str):
        # Plain: a token or a sentence must not be wrapped at some width, or read as markup.
        print(rendered, flush=True)
    else:
        console.print(rendered)


def show_error(error: TejidoError) -> None:
    """Say what happened, to what, and what to do; as JSON where results are JSON too."""
    if wants_json(sys.argv):
        print(json.dumps({"error": error.as_dict()}, ensure_ascii=False), file=sys.stderr, flush=True)
        return
    stderr.print(f"[bold red]error[/] [dim]{error.code}[/]", highlight=False)
    stderr.print(error.message, markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        stderr.print(f"→ {error.hint}", markup=False, highlight=False, soft_wrap=True)


def wants_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON, known even when its parsing failed."""
    pairs = itertools.pairwise(arguments)
    return "--format=json" in arguments or ("--format", "json") in pairs
