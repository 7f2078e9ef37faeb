"""How a command is given a password: never as an argument, where other users of the machine can read it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadOption

PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="File of the password; without it, it is asked for, or read from a pipe."),
]


def given_password(file: Path | None, *, confirm: bool = False) -> str:
    """The password in ``file``, or typed at the terminal (twice with ``confirm``), or the first line of a pipe."""
    if file is not None:
        if not file.is_file():
            raise BadOption(f"{file} does not exist.")
        return file.read_text().strip("\r\n")
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))
    return sys.stdin.readline().strip("\r\n")
