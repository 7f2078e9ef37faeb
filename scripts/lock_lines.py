"""Turn pip's resolution report into a lock file with hashes, or drop from one lock what another already holds.

lock_lines.py REPORT.json LOCK            write LOCK; the hashes are the package index's own (PIP_INDEX_URL)
lock_lines.py --without OTHER LOCK        remove OTHER's distributions from LOCK

Each entry holds the hashes of all files of its version that Python 3.11 can use on Linux or macOS, so that one lock
file serves every machine, and pip refuses any other file of that name.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pip._vendor.packaging.tags import Tag
from pip._vendor.packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from pip._vendor.packaging.version import InvalidVersion, Version

# torch is installed first, by version: its build differs by machine, and so does what only a CUDA build needs.
APART = ("torch", "triton", "nvidia-", "cuda-", "tejido")
# MLflow's pages of runs ask by GraphQL. Every graphene says that it wants an older graphql-core than strawberry does,
# so pip takes one so old that it cannot be imported beside it; this one works with both. Environments are installed
# from whole lock files without looking at what distributions say that they want.
INSTEAD = {"graphene": "3.4.3"}
# The clients of Valkey and Redis want it before Python 3.11.3. Debian has 3.11.2; whoever locks may have a later one,
# for which pip leaves it out.
ALSO = {"async-timeout": "5.0.1"}
HEAD = "# Made by `make lock`; edit pyproject.toml (or requirements/airflow.in) instead."
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
SIMPLE = "application/vnd.pypi.simple.v1+json"
PYTHON = 11
"""The minor version that both environments are locked for."""


def is_apart(name: str) -> bool:
    """Whether a distribution stays out of the lock file."""
    return any(name == prefix or (prefix.endswith("-") and name.startswith(prefix)) for prefix in APART)


def entry(name: str, version: str) -> str:
    """The lines of one distribution."""
    request = urllib.request.Request(f"{INDEX}/{canonicalize_name(name)}/", headers={"Accept": SIMPLE})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # Whoever locks names the index.
        files = json.load(answer)["files"]
    hashes = sorted({file["hashes"]["sha256"] for file in files if is_usable(file["filename"], Version(version))})
    if not hashes:
        raise SystemExit(f"error: the index knows no file of {name}=={version}")
    return " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{found}" for found in hashes)])


def is_usable(filename: str, version: Version) -> bool:
    """Whether a file is of this version, and of use here."""
    try:
        if filename.endswith(".whl"):
            _, found, _, tags = parse_wheel_filename(filename)
            return found == version and any(_fits(tag) for tag in tags)
        return parse_sdist_filename(filename)[1] == version
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        # Files from before there were rules for names.
        return False


def _fits(tag: Tag) -> bool:
    minor = tag.interpreter.removeprefix("cp3")
    is_stable = tag.abi == "abi3" and minor.isdigit() and int(minor) <= PYTHON
    is_python = is_stable or tag.interpreter in ("py3", f"py3{PYTHON}", f"cp3{PYTHON}")
    return is_python and (tag.platform == "any" or "linux" in tag.platform or "macos" in tag.platform)


def entries(text: str) -> dict[str, str]:
    """First line of each distribution → all its lines."""
    # The lines of its hashes are indented.
    blocks = [block for block in re.split(r"\n(?! )", text.strip()) if not block.startswith("#")]
    return {block.partition(" ")[0]: block for block in blocks}


def written(lock: Path, blocks: Iterable[str]) -> None:
    """Write the file at once."""
    lock.write_text("\n".join([HEAD, *blocks]) + "\n")


def main() -> None:
    """Run one of the two forms."""
    if sys.argv[1] == "--without":
        other, lock = Path(sys.argv[2]), Path(sys.argv[3])
        known = entries(other.read_text())
        written(lock, [block for name, block in entries(lock.read_text()).items() if name not in known])
        return
    report, lock = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    chosen = {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in report["install"]
    }
    with ThreadPoolExecutor(8) as threads:
        wanted = [(n, INSTEAD.get(n, version)) for n, version in sorted((ALSO | chosen).items()) if not is_apart(n)]
        written(lock, threads.map(lambda pair: entry(*pair), wanted))


if __name__ == "__main__":
    main()
