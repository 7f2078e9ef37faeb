"""`tejido audit verify`: whether anything in the audit log was changed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from catalog.audit_log import AuditLog, Verdict
from catalog.errors import AuditLogBroken
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings

HASH_DIGITS = 64


def verify(
    head: Annotated[
        str | None, typer.Option(help="The head that an earlier look printed: shows that nothing was cut off since.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Look at the whole chain, and print its head: note that down elsewhere, and give it the next time."""
    if head is not None and (len(head) != HASH_DIGITS or not set(head.lower()) <= set("0123456789abcdef")):
        raise BadOption("A head is 64 hexadecimal digits, as `tejido audit verify` prints it.")
    with AuditLog(platform_settings(state).required("postgres_dsn")) as log:
        verdict = log.verify(head)
    if not verdict.holds:
        raise AuditLogBroken(_broken(verdict), hint="Compare it with a backup; from that entry on nothing is sure.")
    emit({"entries": verdict.entries, "head": verdict.head}, how, _text)


def _broken(verdict: Verdict) -> str:
    if verdict.broken_at is not None:
        return f"Entry {verdict.broken_at} of the audit log does not follow the {verdict.entries} before it."
    return f"No entry of the audit log has that head: of its {verdict.entries} entries, some were replaced or cut off."


def _text(result: dict[str, Any]) -> str:
    return f"All {result['entries']} entries follow each other.\nhead {result['head']}"
