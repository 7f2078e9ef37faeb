"""`tejido model seal`: encrypt and sign model versions that an older release has stored as plain files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.seal_models import seal_models


def seal(
    version: Annotated[str | None, typer.Argument(help="Number or alias of the version.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every version that is not sealed.")] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Seal what is stored, once it is what the registry's hash says; from then on you vouch for it."""
    if (version is None) != everything:
        raise BadOption("Name a version, or give --all.")
    emit(seal_models(platform_settings(state), version), how, _text)


def _text(done: dict[str, Any]) -> str:
    named = ", ".join(done["sealed"]) or "none"
    return f"Sealed: {named}." + (f" Sealed before: {', '.join(done['unchanged'])}." if done["unchanged"] else "")
