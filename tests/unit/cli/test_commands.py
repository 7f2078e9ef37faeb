from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module

import pytest

from cli.commands import TREE, Command, Group


def leaves(entries: Mapping[str, Command | Group] = TREE) -> list[tuple[str, Command]]:
    """Every command of the tree with its own name."""
    found = []
    for name, entry in entries.items():
        found += [(name, entry)] if isinstance(entry, Command) else leaves(entry.commands)
    return found


@pytest.mark.parametrize(("name", "command"), leaves(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_exists_and_says_what_it_does(name: str, command: Command) -> None:
    function = getattr(import_module(command.module), command.function or name)
    assert function.__doc__


def test_a_light_command_does_not_load_what_is_heavy() -> None:
    script = (
        "import sys; from cli.commands import register; import typer\n"
        "register(typer.Typer(), ['catalog', 'stats'])\n"
        "print([m for m in ('torch', 'mlflow', 'flwr', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
