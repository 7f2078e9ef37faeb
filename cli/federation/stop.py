"""`tejido federation stop`: end what works on a run."""

from __future__ import annotations

from cli.federation.options import RunArgument
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import stop_federation


def stop(run: RunArgument, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """End a run; `tejido federation resume` goes on with it later, after its last complete round."""
    stopped = stop_federation(platform_settings(state), run)
    emit(stopped, how, lambda r: f"{r['run_id']} was stopped." if r["stopped"] else f"Nothing worked on {r['run_id']}.")
