"""`tejido session end`: somebody, or everybody, is logged out."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.sessions import SessionStore
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.audit import actor_of


def end(
    user: Annotated[str | None, typer.Option(help="Whose sessions end.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="End everybody's.")] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """End the sessions of a user, or of everybody: within a second no token of theirs is taken any more."""
    if (user is not None) == everybody:
        raise BadOption("Say whose sessions end: --user NAME, or --all.")
    settings = platform_settings(state)
    reason = f"ended by {actor_of(settings)}"
    with SessionStore(settings.required("postgres_dsn")) as store:
        ended = store.revoke_all(reason) if user is None else store.revoke_of_user(user, reason)
    emit({"ended": ended}, how, lambda _: f"{ended} session{'' if ended == 1 else 's'} ended.")
