"""`tejido setup stores`: databases, tables, buckets and the administrator of a deployment in containers."""

from __future__ import annotations

from cli.output import Format, FormatOption, emit
from core.settings import load_settings
from deployment.platform import MOUNT
from deployment.stores import prepare_stores


def stores(how: FormatOption = Format.TEXT) -> None:
    """Bring the stores up to date; refuses stores that a newer Tejido has used."""
    prepare_stores(load_settings(), MOUNT)
    emit({"ready": True}, how, lambda _: "Databases, tables and buckets are ready.")
