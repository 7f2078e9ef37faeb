"""`tejido client add`: one more client, with its keys, its bucket, its limits, and the folder that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import BadOption
from cli.limits import MaxExamplesOption, NoMaxExamplesOption, said_limit
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from core.limits import Limit
from deployment.override import write_override
from embedded.clients import Clients, Done
from embedded.state import StateFolder

OutOption = Annotated[
    Path | None, typer.Option(help="Folder for what the client is given; handover/NAME in the state folder by default.")
]


def add(
    name: Annotated[str, typer.Argument(help="Name of the client: a-z, 0-9 and -.")],
    max_examples: MaxExamplesOption = None,
    no_max_examples: NoMaxExamplesOption = False,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Its processes run where its folder is copied to, not in the stack.")
    ] = False,
    out: OutOption = None,
    compose: Annotated[bool, typer.Option("--compose", help="Write an override for docker compose.")] = False,
    file: Annotated[Path, typer.Option(help="The compose file that it goes with.")] = Path("docker-compose.yaml"),
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Enrol a client, whether the stack runs or not; what is there already stays, and no other client is touched."""
    limit = said_limit(max_examples, none=no_max_examples)
    if compose:
        if elsewhere or out:
            raise BadOption("--compose goes with neither --elsewhere nor --out.", hint="Leave one of them out.")
        _write_override(file, name, limit, how)
        return
    done = Clients(StateFolder.at(state)).add(name, limit=limit, is_elsewhere=elsewhere, out=out)
    emit(told(done), how, _text)


def told(done: Done) -> dict[str, Any]:
    """What a command did, for JSON."""
    return {
        "client": done.client,
        "stack_running": done.is_running,
        "folder": str(done.folder),
        "changed": list(done.written),
    }


def _text(result: dict[str, Any]) -> str:
    name, folder = result["client"], result["folder"]
    if not result["changed"]:
        return f"{name} is enrolled already and {folder} is whole; nothing was changed."
    when = "It is online." if result["stack_running"] else "It comes with the next `tejido up`."
    return f"{name} is enrolled. {when} What it is given is in {folder}; README.md there says what to do with it."


def _write_override(file: Path, name: str, limit: Limit, how: Format) -> None:
    path, is_changed = write_override(file, name, limit=limit)
    command = f"docker compose -f {file} -f {path} --profile all up -d"
    said = "is written" if is_changed else "is there already, and nothing was changed"
    emit(
        {"file": str(path), "command": command, "changed": [path.name] if is_changed else []},
        how,
        lambda r: f"{r['file']} {said}. Start it with:\n{r['command']}",
    )
