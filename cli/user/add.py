"""`tejido user add`: somebody who may log in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from catalog.database import Database
from catalog.sessions import SessionStore
from catalog.store import CatalogueStore
from cli.errors import BadOption, UserExists
from cli.output import Format, FormatOption, emit
from cli.passwords import PasswordFileOption, given_password
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.names import checked_client_name
from security.passwords import hash_password
from server.audit import actor_of


class Role(StrEnum):
    """What a user may do."""

    READER = "reader"
    CURATOR = "curator"
    OPERATOR = "operator"
    ADMIN = "admin"


def add(
    name: Annotated[str, typer.Argument(help="Name to log in with.")],
    role: Annotated[Role, typer.Option(help="A reader searches; a curator also writes the products of one client.")],
    client: Annotated[str | None, typer.Option(help="Whose products a curator writes.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give a user of this name this role and password.")
    ] = False,
    password_file: PasswordFileOption = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Let somebody log in to the API, with a password of 12 characters at least; ``--replace`` ends their sessions."""
    if (role is Role.CURATOR) != (client is not None):
        raise BadOption("A curator has a --client, and nobody else has one.")
    if not 0 < len(name) <= 128 or not name.isprintable():
        raise BadOption(f"{name!r} cannot be the name of a user.")
    client = None if client is None else checked_client_name(client)
    settings = platform_settings(state)
    with Database(settings.required("postgres_dsn")) as database:
        store = CatalogueStore(database)
        if not replace and store.user(name):
            raise UserExists(f"There is a user {name} already.", hint="Choose another name, or give --replace.")
        store.put_user(
            name,
            hash_password(given_password(password_file, confirm=True)),
            [role.value],
            client=client,
            actor=actor_of(settings),
        )
        # Whoever knew the old password may have a session that would outlive it.
        SessionStore(database).revoke_of_user(name, "user replaced")
    made = {"username": name, "roles": [role.value], "client": client}
    emit(made, how, lambda _: f"{name} may log in as {role.value}{f' of {client}' if client else ''}.")
