"""`tejido model promote`: the challenger becomes the champion if it is better beyond chance."""

from __future__ import annotations

from typing import Any

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.promotion import promote as judge


def promote(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Compare the challenger with the champion on the test set, and promote it if it earned it."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = judge(settings, progress=progress)
    emit(result, how, _text)


def _text(result: dict[str, Any]) -> str:
    recall = result["recall_at_10"]
    verdict = "is the champion now" if result["promoted"] else "was not promoted"
    interval = result["interval"]
    gain = f", gain 95 % within [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else ""
    return (
        f"Version {result['version']} {verdict}: {result['reason']} "
        f"(recall@10 {recall['challenger']:.3f} against {recall['incumbent']:.3f}{gain})."
    )
