"""Airflow's tables at a start: made once, cleaned once a week, and never a reason not to start."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from embedded.airflow import AirflowDatabase, AirflowHome
from embedded.errors import PreparationFailed
from embedded.ports import Port
from embedded.process import Command
from embedded.service import Steps
from embedded.state import StateFolder

WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Noted(Steps):
    """Steps that are written down instead of run."""

    commands: list[tuple[str, ...]] = field(default_factory=list)
    is_broken: bool = False

    def run(self, what: str, command: Command, *, stdin: str = "", within_s: float = 120.0) -> None:
        """Write it down."""
        self.commands.append(command.arguments[1:])
        if self.is_broken:
            raise PreparationFailed(what, how="ended with exit status 1", log=self.log, lines=[])


@pytest.fixture
def database(tmp_path: Path) -> AirflowDatabase:
    home = AirflowHome(
        state=StateFolder.at(tmp_path),
        port=Port("Airflow", 8080, 8080),
        database="postgresql://",
        platform_env=tmp_path / "platform.env",
        venv=tmp_path / "venv",
    )
    return AirflowDatabase(home=home)


def age(database: AirflowDatabase, mark: str) -> None:
    """Let a mark be a little older than a week."""
    then = time.time() - WEEK_S - 60
    os.utime(database.home.folder / mark, (then, then))


def start(database: AirflowDatabase, *, is_broken: bool = False) -> list[str]:
    """What runs at a start: the second word of each command."""
    steps = Noted(database.home.state, database.slug, is_broken=is_broken)
    database.run(steps)
    return [command[1] for command in steps.commands]


def test_tables_are_made_at_the_first_start_and_cleaned_once_a_week(database: AirflowDatabase) -> None:
    assert start(database) == ["migrate"]
    assert start(database) == []
    age(database, "migrated")
    assert start(database) == ["clean"]
    assert start(database) == []
    age(database, "cleaned")
    assert start(database) == ["clean"]


def test_a_cleaning_that_fails_keeps_nobody_from_starting_and_is_tried_again(database: AirflowDatabase) -> None:
    start(database)
    age(database, "migrated")
    assert start(database, is_broken=True) == ["clean"]
    assert start(database) == ["clean"]
