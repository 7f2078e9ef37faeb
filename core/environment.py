"""Settings as a file of TEJIDO_* variables that only its owner reads; a process is pointed to it by TEJIDO_ENV_FILE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.files import write_secret
from core.settings import Settings


def environment_text(values: Mapping[str, object]) -> str:
    """Settings (named as the fields of core.settings.Settings) as the text of such a file."""
    unknown = set(values) - set(Settings.model_fields)
    if unknown:
        raise ValueError(f"no such settings: {sorted(unknown)}")
    return "".join(f'TEJIDO_{name.upper()}="{value}"\n' for name, value in values.items())


def write_environment(path: Path, values: Mapping[str, object]) -> None:
    """Write settings as a file of variables (0600); see `environment_text`."""
    write_secret(path, environment_text(values).encode())
