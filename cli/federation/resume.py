"""`tejido federation resume`: go on with a run that was broken off."""

from __future__ import annotations

from cli.federation.options import RunArgument, result_text
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import resume_federation


def resume(run: RunArgument, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Go on after a run's last complete round, with its own config; the result is as if it had never stopped."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = resume_federation(settings, run, progress)
    emit(result, how, result_text)
