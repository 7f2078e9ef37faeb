"""What schemathesis makes up from the descriptions of the API, REST's OpenAPI and GraphQL's schema, breaks nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from api.schema import make_schema
from tests.attacks.api.target import Target

pytestmark = [pytest.mark.attack, pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).with_name("schemathesis")
ALL_SELECTED = re.compile(r"(\d{2}) selected / \1 total")
Side = Callable[[Target, Path, Sequence[str]], str]
OPTIONS = ("--checks", "nothing_broke", "--no-shrink", "--continue-on-failure", "--suppress-health-check", "all")
SHORT = ("--phases", "examples,fuzzing", "--max-examples", "4", "--generation-deterministic")
LONG = ("--max-examples", "1000000", "--max-time", "150")


def attacked(target: Target, folder: Path, description: str, *options: str) -> str:
    """Run schemathesis with everything that a token may let in; its report."""
    token = target.tokens.issue("schemathesis", ["curator", "operator"], client="aurora")
    before = target.log.stat().st_size
    found = subprocess.run(
        [PROGRAM, "run", description, "-H", f"Authorization: Bearer {token}", *OPTIONS, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.attacks.api.hooks", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert target.process.is_running()
    with target.log.open() as log:
        log.seek(before)
        assert [line for line in log if '"level": "error"' in line or "Traceback" in line] == []
    return found.stdout


def of_rest(target: Target, folder: Path, options: Sequence[str]) -> str:
    return attacked(target, folder, f"{target.url}/openapi.json", *options)


def of_graphql(target: Target, folder: Path, options: Sequence[str]) -> str:
    # The API itself does not tell its schema.
    (folder / "schema.graphql").write_text(make_schema().as_str())
    return attacked(target, folder, "schema.graphql", "--url", f"{target.url}/graphql", *options)


def test_rest_answers_whatever_its_description_allows_and_forbids(target: Target, tmp_path: Path) -> None:
    assert ALL_SELECTED.search(of_rest(target, tmp_path, SHORT))


def test_graphql_answers_whatever_its_schema_allows(target: Target, tmp_path: Path) -> None:
    assert ALL_SELECTED.search(of_graphql(target, tmp_path, SHORT))


@pytest.mark.long_attack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("side", [of_rest, of_graphql])
def test_neither_breaks_in_minutes(target: Target, tmp_path: Path, side: Side) -> None:
    print(side(target, tmp_path, LONG))
