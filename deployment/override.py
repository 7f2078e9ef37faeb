"""A compose file that adds one client to a deployment: everything that the first client has, under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.files import write_atomically
from core.names import checked_client_name
from deployment.errors import ClientExists, ComposeFileUnreadable

MODEL = "aurora"
"""The client of docker-compose.yaml that others are made like."""
HEADER = """\
# Made by `tejido client add {name} --compose`. Start the client beside all that runs, which is not touched:
# docker compose -f docker-compose.yaml -f {file} --profile all up -d
"""


def client_override(compose: Path, name: str, *, max_examples: int | None = None) -> str:
    """The text of the file; ``max_examples`` is how many products the client enrols for, None for all it is given.

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
    if max_examples is not None:
        renamed["services"][f"enrol-{name}"]["command"] += ["--max-examples", str(max_examples)]
    text: str = yaml.safe_dump(renamed, sort_keys=False, width=120)
    return HEADER.format(name=name, file=override_file(compose, name).name) + text


def write_override(compose: Path, name: str, *, max_examples: int | None = None) -> tuple[Path, bool]:
    """Write the file beside the compose file, unless it is there just so; whether it was. See `client_override`."""
    path, text = override_file(compose, name), client_override(compose, name, max_examples=max_examples)
    is_changed = not path.exists() or path.read_text() != text
    if is_changed:
        write_atomically(path, text.encode())
    return path, is_changed


def override_file(compose: Path, name: str) -> Path:
    """docker-compose.NAME.yaml beside docker-compose.yaml."""
    return compose.with_name(f"{compose.stem}.{name}{compose.suffix}")


def _is_models(key: str) -> bool:
    return key.endswith(f"-{MODEL}")


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {_renamed(key, name): _renamed(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, name) for inner in value]
    return value.replace(MODEL, name) if isinstance(value, str) else value
