"""`tejido model rollback`: the previous champion serves again."""

from __future__ import annotations

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.promotion import rollback as roll_back


def rollback(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Make the previous champion the champion again; build its index afterwards with `tejido index build`."""
    emit(roll_back(platform_settings(state)), how, lambda r: f"Version {r['version']} is the champion again.")
