"""`tejido federation wait`: wait for a run that was started."""

from __future__ import annotations

from cli.federation.options import RunArgument, result_text
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import wait_for_federation


def wait(run: RunArgument, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Wait for a run's result; whoever waits may be stopped, the run goes on."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = wait_for_federation(settings, run, progress)
    emit(result, how, result_text)
