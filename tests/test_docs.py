"""What the documentation promises to list, it lists."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from core.errors import TejidoError
from core.settings import Settings
from federation.config import FederationConfig
from tests.unit.metrics import all_metrics

ROOT = Path(__file__).resolve().parents[1]


def all_errors(root: type[TejidoError] = TejidoError) -> set[type[TejidoError]]:
    """Every error class of the project."""
    for part in (
        "core",
        "catalog",
        "security",
        "federation",
        "clients",
        "server",
        "api",
        "deployment",
        "embedded",
        "cli",
    ):
        package = importlib.import_module(part)
        for module in pkgutil.iter_modules(package.__path__, f"{part}."):
            if module.name.endswith((".errors", ".settings")):
                importlib.import_module(module.name)
    found: set[type[TejidoError]] = {root}
    for child in root.__subclasses__():
        found |= all_errors(child)
    return found


def test_every_error_code_is_explained() -> None:
    text = (ROOT / "docs/reference/errors.md").read_text()
    missing = sorted({error.code for error in all_errors() if f"`{error.code}`" not in text})
    assert not missing


def test_no_error_is_explained_that_does_not_exist() -> None:
    text = (ROOT / "docs/reference/errors.md").read_text()
    codes = {error.code for error in all_errors()}
    explained = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert explained <= codes


def test_every_setting_is_explained() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    missing = [name for name in Settings.model_fields if f"`TEJIDO_{name.upper()}`" not in text]
    assert not missing


def test_every_key_of_a_run_is_explained_with_its_default() -> None:
    lines = (ROOT / "docs/reference/run-config.md").read_text().splitlines()
    explained = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    defaults = FederationConfig().to_run_config()
    assert set(explained) == set(defaults)
    wrong = [key for key, value in defaults.items() if value != "" and not explained[key].endswith(f"| `{value}` |")]
    assert not wrong


def test_every_metric_is_explained_with_its_type_and_labels() -> None:
    lines = (ROOT / "docs/reference/metrics.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `tejido_")]
    explained = {cell[0].strip("`"): (cell[1], frozenset(re.findall(r"`(\w+)`", cell[3]))) for cell in cells}
    assert explained == {metric.name: (metric.kind, metric.labels) for metric in all_metrics()}
    assert all(unit and meaning for _, _, unit, _, meaning in cells)
