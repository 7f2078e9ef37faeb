"""What a model was made by and from: code, data, and the privacy that its clients were given."""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
GIT_S = 10.0
NO_PRIVACY = "none"
"""No noise: the model may tell what any one client trained on."""


@dataclass(frozen=True)
class Provenance:
    """Noted with the run, with the model version, and on its card."""

    code_version: str
    """A git commit, ``-dirty`` where files differ from it; without git the release and the hash of the sources."""
    sources_sha256: str
    """Over the sources that ran at the coordinator; clients are sent the same."""
    manifest_sha256: str
    """Of the catalogue's manifest, which has the SHA-256 of every shard."""
    privacy: str = NO_PRIVACY
    """As the run's `privacy`."""

    def as_dict(self) -> dict[str, str]:
        """As parameters of a run and tags of a model version are called."""
        return {
            "code_version": self.code_version,
            "sources_sha256": self.sources_sha256,
            "data_manifest_sha256": self.manifest_sha256,
            "privacy": self.privacy,
        }


def provenance(*, manifest_sha256: str, commit: str = "", privacy: str = NO_PRIVACY) -> Provenance:
    """Of what runs in this process.

    Args:
        manifest_sha256: of the catalogue's manifest.
        commit: what the starter of the run says about its checkout: the code as Flower unpacks it knows no git.
        privacy: of the run.
    """
    sources = sources_sha256(PROJECT)
    return Provenance(commit or f"tejido {_release()}+{sources[:12]}", sources, manifest_sha256, privacy)


def git_commit(project: Path = PROJECT) -> str:
    """The commit that a checkout is at, or "" where this is none; never that of a checkout further up."""
    if not (project / ".git").exists():
        return ""
    commit = _git(project, "rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git(project, "status", "--porcelain", "--", *_parts(project)) else commit


def sources_sha256(project: Path = PROJECT) -> str:
    """One hash over the names and bytes of all files that Flower bundles: in a checkout the same as once unpacked."""
    digest = hashlib.sha256()
    for path in sorted(_bundled(project)):
        digest.update(f"{path.relative_to(project).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _bundled(project: Path) -> Iterable[Path]:
    return {path for pattern in _patterns(project) for path in project.glob(pattern) if path.is_file()}


def _parts(project: Path) -> list[str]:
    return sorted({pattern.split("/")[0] for pattern in _patterns(project)})


def _patterns(project: Path) -> list[str]:
    return list(_pyproject(project)["tool"]["flwr"]["app"]["fab-include"])


def _release() -> str:
    return str(_pyproject(PROJECT)["project"]["version"])


def _pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


def _git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
