"""Settings as a file of TEJIDO_* variables that only its owner reads; a process is pointed to it by TEJIDO_ENV_FILE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.files import write_secret
from core.settings import Settings


def write_environment(path: Path, values: Mapping[str, object]) -> None:
    """Write settings (named as the fields of core.settings.Settings) as a file of variables (0600)."""
    unknown = set(values) - set(Settings.model_fields)
    if unknown:
        raise ValueError(f"no such settings: {sorted(unknown)}")
    lines = [f'TEJIDO_{name.upper()}="{value}"\n' for name, value in values.items()]
    write_secret(path, "".join(lines).encode())
