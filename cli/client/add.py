"""`tejido client add`: one more client for a deployment in containers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from deployment.override import write_override


def add(
    name: Annotated[str, typer.Argument(help="Name of the client: a-z, 0-9 and -.")],
    compose: Annotated[bool, typer.Option("--compose", help="Write an override for docker compose.")] = False,
    file: Annotated[Path, typer.Option(help="The compose file that it goes with.")] = Path("docker-compose.yaml"),
    how: FormatOption = Format.TEXT,
) -> None:
    """Write what adds a client: its object store, SuperNode, ClientApps, network and secrets."""
    if not compose:
        raise BadOption(
            "Clients can be added to a deployment in containers only.",
            hint="Give --compose; the embedded services take their clients from `tejido up --client NAME`.",
        )
    path = write_override(file, name)
    command = f"docker compose -f {file} -f {path} --profile all up -d"
    emit(
        {"file": str(path), "command": command},
        how,
        lambda r: f"{r['file']} is written. Start it with:\n{r['command']}",
    )
