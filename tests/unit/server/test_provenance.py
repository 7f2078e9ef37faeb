"""Which code made a model can be said in a checkout, and without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from server.flower import _bundle_folder
from server.provenance import git_commit, provenance, sources_sha256

PYPROJECT = '[project]\nversion = "1.2.3"\n[tool.flwr.app]\nfab-include = ["core/*.py", "server/**/*.py"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "pyproject.toml": PYPROJECT,
        "core/a.py": "A = 1\n",
        "server/deep/b.py": "",
        "README": "x",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def git(project: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *identity, "-C", project, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_hash_of_the_sources_changes_with_them_and_with_nothing_else(project: Path) -> None:
    before = sources_sha256(project)
    (project / "README").write_text("y")
    assert sources_sha256(project) == before
    (project / "core/a.py").rename(project / "core/c.py")
    assert sources_sha256(project) != before


def test_sources_have_the_same_hash_in_a_checkout_and_as_they_are_bundled() -> None:
    with _bundle_folder() as app:
        assert sources_sha256(app) == sources_sha256()


def test_commit_says_when_the_sources_differ_from_it(project: Path) -> None:
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    commit = git(project, "rev-parse", "HEAD")
    (project / "README").write_text("not part of what runs")
    assert git_commit(project) == commit
    (project / "core/a.py").write_text("A = 2\n")
    assert git_commit(project) == f"{commit}-dirty"


def test_folder_inside_a_checkout_is_not_taken_for_it(project: Path) -> None:
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    unpacked = project / "core"
    (unpacked / "pyproject.toml").write_text(PYPROJECT)
    assert git_commit(unpacked) == ""


def test_without_git_the_release_and_the_sources_say_which_code_it_was() -> None:
    made_by = provenance(manifest_sha256="m" * 64)
    assert made_by.code_version == f"tejido 0.1.0+{made_by.sources_sha256[:12]}"
    assert provenance(manifest_sha256="m" * 64, commit="c" * 40).code_version == "c" * 40
    assert made_by.as_dict()["privacy"] == "none"
