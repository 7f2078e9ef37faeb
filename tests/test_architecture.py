"""The house rules that a reader relies on: imports point one way, and each library stays behind its fence."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("core", "catalog", "security", "federation", "clients", "server", "api", "deployment", "embedded", "cli")

MAY_IMPORT = {
    "core": set(),
    "catalog": {"core"},
    "security": {"core"},
    "federation": {"core", "catalog.product"},
    "clients": {"core", "catalog", "security", "federation"},
    "server": {"core", "catalog", "security", "federation"},
    "api": {"core", "catalog", "security", "federation", "server"},
    "deployment": {"core", "catalog", "security", "server"},
    "embedded": {"core", "catalog", "security", "federation", "clients", "server", "api", "deployment"},
    "cli": {"core", "catalog", "security", "federation", "clients", "server", "api", "deployment", "embedded"},
}
FENCES = {
    "psycopg": ("catalog",),
    "psycopg_pool": ("catalog",),
    "pgvector": ("catalog",),
    "boto3": ("catalog",),
    "botocore": ("catalog",),
    "alembic": ("catalog",),
    "sqlalchemy": ("catalog",),
    "mlflow": ("server/tracking", "deployment/mlflow.py"),
    "matplotlib": ("server/plots",),
    "prometheus_client": ("api/metrics.py", "api/scraping.py", "server/monitoring"),
    "opentelemetry": ("core/tracing.py", "api/tracing.py"),
    "strawberry": ("api",),
    "fastapi": ("api",),
    "jose": ("security/tokens.py",),
    "cryptography": ("security", "federation/masking"),
    "flwr": (
        *("clients/app.py", "clients/guard.py", "clients/masking.py", "clients/superexec.py"),
        *(
            "server/app.py",
            "server/exchange.py",
            "server/run_process.py",
            "server/superexec.py",
            "server/supernodes.py",
        ),
        *("federation/forking.py", "federation/strategies", "federation/wire.py"),
    ),
    "airflow": ("dags",),
}
"""Library → the parts, folders or files that alone may import it."""
MODULE_LINES = 300


def modules(part: str) -> list[Path]:
    """Every module of a part."""
    return sorted((ROOT / part).rglob("*.py"))


def imports(module: Path, *, only_at_import: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute names that a module imports, with their lines."""
    tree = ast.parse(module.read_text())
    nodes = tree.body if only_at_import else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import; write the whole name"
            name = node.module or ""
            yield name, node.lineno
            for alias in node.names:
                yield f"{name}.{alias.name}", node.lineno


def within(name: str, allowed: set[str]) -> bool:
    """Whether a dotted name is one of the allowed ones or lies below it."""
    return any(name == entry or name.startswith(f"{entry}.") for entry in allowed)


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_one_way(part: str) -> None:
    wrong = []
    for module in modules(part):
        for name, line in imports(module):
            head = name.split(".")[0]
            if head not in PARTS or head == part or within(name, MAY_IMPORT[part]):
                continue
            # `from catalog import product` yields "catalog" as well; the full name decides.
            if any(entry.startswith(f"{name}.") for entry in MAY_IMPORT[part]):
                continue
            wrong.append(f"{module.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_api_never_imports_the_server_app() -> None:
    names = {name for module in modules("api") for name, _ in imports(module)}
    assert not within_any(names, "server.app")


def within_any(names: set[str], entry: str) -> bool:
    """Whether any of the names is the entry or lies below it."""
    return any(within(name, {entry}) for name in names)


@pytest.mark.parametrize("library", sorted(FENCES))
def test_library_stays_behind_its_fence(library: str) -> None:
    wrong = []
    for part in (*PARTS, "dags"):
        for module in modules(part):
            relative = module.relative_to(ROOT).as_posix()
            if any(relative == fence or relative.startswith(f"{fence}/") for fence in FENCES[library]):
                continue
            wrong += [f"{relative}:{line}" for name, line in imports(module) if within(name, {library})]
    assert not wrong, f"{library} may be imported in {FENCES[library]} only, but is in {wrong}"


def test_dags_import_airflow_and_the_standard_library_only() -> None:
    own = {module.stem for module in modules("dags")}
    allowed = own | {"airflow"} | set(sys.stdlib_module_names)
    for module in modules("dags"):
        for name, line in imports(module):
            assert name.split(".")[0] in allowed, f"{module.name}:{line} imports {name}"


def test_the_walk_sees_what_it_should() -> None:
    """Guards the guards: a rule that finds no module proves nothing."""
    for part in (*PARTS, "dags"):
        assert modules(part), part
    assert any(name == "airflow.sdk" for module in modules("dags") for name, _ in imports(module))


@pytest.mark.parametrize("part", PARTS)
def test_modules_stay_small(part: str) -> None:
    sizes = {m.relative_to(ROOT).as_posix(): len(m.read_text().splitlines()) for m in modules(part)}
    assert not {name: lines for name, lines in sizes.items() if lines > MODULE_LINES}
