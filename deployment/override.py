"""A compose file that adds one client to a deployment: everything that the first client has, under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.files import write_atomically
from core.limits import NO_LIMIT, Limit
from core.names import checked_client_name
from deployment.errors import ClientExists, ComposeFileUnreadable

MODEL = "aurora"
"""The client of docker-compose.yaml that others are made like."""
LIMITED, UNLIMITED = "--max-examples", "--no-max-examples"
"""Options of `tejido setup enrol`."""
HEADER = """\
# Made by `tejido client add {name} --compose`. Start the client beside all that runs, which is not touched:
# docker compose -f docker-compose.yaml -f {file} --profile all up -d
"""


def client_override(compose: Path, name: str, *, limit: Limit = None) -> str:
    """The text of the file; ``limit`` is what it says of the products that the client enrols for.

    Raises:
        ClientNameInvalid: no host, bucket or folder can be called so.
        ClientExists: the compose file has this client, or something that one of this name would share.
        ComposeFileUnreadable: it is no compose file of ours.
    """
    checked_client_name(name)
    try:
        whole = yaml.safe_load(compose.read_text())
        services, networks, volumes = whole["services"], whole["networks"], whole["volumes"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ComposeFileUnreadable(
            f"{compose} is no compose file of Tejido: {error}.", hint="Name it with --file, or run in its folder."
        ) from error
    if f"supernode-{name}" in services:
        raise ClientExists(f"{compose} has a client {name} already.", hint="Choose another name.")
    parts = {
        "services": {key: body for key, body in services.items() if _is_models(key)},
        "networks": {key: body for key, body in networks.items() if _is_models(key)},
        "volumes": {key: body for key, body in volumes.items() if _is_models(key)},
    }
    renamed = _renamed(parts, name)
    if taken := sorted(key for kind, named in renamed.items() for key in set(named) & set(whole[kind])):
        # Merging the files would give the client the platform's own volume or network.
        raise ClientExists(f"{compose} has {', '.join(taken)} already.", hint="Choose another name.")
    if limit is not None:
        renamed["services"][f"enrol-{name}"]["command"] += [UNLIMITED] if limit == NO_LIMIT else [LIMITED, str(limit)]
    text: str = yaml.safe_dump(renamed, sort_keys=False, width=120)
    return HEADER.format(name=name, file=override_file(compose, name).name) + text


def write_override(compose: Path, name: str, *, limit: Limit = None) -> tuple[Path, bool]:
    """Write the file beside the compose file, unless it is there just so; whether it was. See `client_override`.

    What the file said of the client's limit stays where nothing is said.

    Raises:
        ComposeFileUnreadable: nothing is said, and the file that is there cannot be read.
    """
    path = override_file(compose, name)
    text = client_override(compose, name, limit=_said(path, name) if limit is None else limit)
    is_changed = not path.exists() or path.read_text() != text
    if is_changed:
        write_atomically(path, text.encode())
    return path, is_changed


def override_file(compose: Path, name: str) -> Path:
    """docker-compose.NAME.yaml beside docker-compose.yaml; raises ClientNameInvalid where no file can be called so."""
    return compose.with_name(f"{compose.stem}.{checked_client_name(name)}{compose.suffix}")


def _said(path: Path, name: str) -> Limit:
    """What the file of a client says of its limit; nothing where there is no file."""
    if not path.exists():
        return None
    try:
        command = [str(word) for word in yaml.safe_load(path.read_text())["services"][f"enrol-{name}"]["command"]]
        if LIMITED in command:
            return int(command[command.index(LIMITED) + 1])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ComposeFileUnreadable(
            f"{path} does not say what {name} enrols for: {error}.", hint=f"Give {LIMITED} N, or {UNLIMITED}."
        ) from error
    return NO_LIMIT if UNLIMITED in command else None


def _is_models(key: str) -> bool:
    return key.endswith(f"-{MODEL}")


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {_renamed(key, name): _renamed(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, name) for inner in value]
    return value.replace(MODEL, name) if isinstance(value, str) else value
