"""`tejido machine add`: a program that may ask the API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from catalog.machines import MachineStore
from cli.errors import BadOption, MachineExists
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from cli.user.add import Role
from core.names import checked_client_name, checked_name
from security.refresh_tokens import at_rest, new_refresh_token
from server.audit import actor_of

DAY_S = 24 * 60 * 60


def add(
    name: Annotated[str, typer.Argument(help="Name of the program, as a client's: small letters, digits and hyphens.")],
    role: Annotated[Role, typer.Option(help="As a user's.")],
    secret_file: Annotated[Path, typer.Option(help="Where its secret goes, for its owner's eyes alone.")],
    client: Annotated[str | None, typer.Option(help="Whose products a curator writes.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="For how long.")] = 90,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Let a program ask the API: POST /auth/machine exchanges its name and secret for tokens of five minutes."""
    if (role is Role.CURATOR) != (client is not None):
        raise BadOption("A curator has a --client, and nobody else has one.")
    client = None if client is None else checked_client_name(client)
    settings, secret = platform_settings(state), new_refresh_token()
    _write(secret_file, secret)
    try:
        with MachineStore(settings.required("postgres_dsn")) as store:
            ends = store.add(
                checked_name(name, of="a program"),
                at_rest(secret),
                [role.value],
                client=client,
                lifetime_s=days * DAY_S,
                actor=actor_of(settings),
            )
        if ends is None:
            raise MachineExists(f"There is a program {name} already.", hint="Choose another name, or remove it first.")
    except BaseException:
        # Of no use to anybody, and not to be taken for one that is.
        secret_file.unlink()
        raise
    made = {"machine": name, "roles": [role.value], "client": client, "expires_at": ends.isoformat(timespec="seconds")}
    emit(
        made, how, lambda _: f"{name} may log in as {role.value} until {ends:%Y-%m-%d}; its secret is in {secret_file}."
    )


def _write(path: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret)
    except OSError as error:
        raise BadOption(f"{path} cannot be made: {error.strerror}.") from None
