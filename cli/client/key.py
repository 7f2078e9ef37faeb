"""`tejido client key`: by which key a client signs."""

from __future__ import annotations

from typing import Any

from cli.client.session import NameArgument, client_settings
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from clients.receipts import signing_key


def key(name: NameArgument = None, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Show the public key by which a client signs contracts, receipts and round keys; made at the first use.

    Other clients name it in their policies (`peers`). Give it to them yourself, not through the coordinator.
    """
    settings = client_settings(state, name)
    emit({"client": settings.client_name, "key": signing_key(settings).public}, how, _text)


def _text(result: dict[str, Any]) -> str:
    return str(result["key"])
