"""Turn pip's resolution report into lock lines, or drop from one lock what another already holds.

lock_lines.py REPORT.json LOCK            write LOCK
lock_lines.py --without OTHER LOCK        remove OTHER's lines from LOCK
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# torch is installed first, by version: its build differs by machine, and so does what only a CUDA build needs.
APART = ("torch", "triton", "nvidia-", "cuda-", "tejido")


def is_apart(name: str) -> bool:
    """Whether a distribution stays out of the lock file."""
    return any(name == prefix or (prefix.endswith("-") and name.startswith(prefix)) for prefix in APART)


def main() -> None:
    """Run one of the two forms."""
    if sys.argv[1] == "--without":
        other, lock = Path(sys.argv[2]), Path(sys.argv[3])
        known = set(other.read_text().splitlines())
        lines = [line for line in lock.read_text().splitlines() if line not in known or line.startswith("#")]
    else:
        report, lock = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
        chosen = {
            entry["metadata"]["name"].lower().replace("_", "-"): entry["metadata"]["version"]
            for entry in report["install"]
        }
        lines = ["# Made by `make lock`; edit pyproject.toml (or requirements/airflow.in) instead."]
        lines += [f"{name}=={version}" for name, version in sorted(chosen.items()) if not is_apart(name)]
    lock.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
