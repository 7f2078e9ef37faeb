"""`tejido token`: an access token for the API, for scripts and curl."""

from __future__ import annotations

from pathlib import Path

from cli.api import SearchApi
from cli.output import Format, FormatOption, emit
from cli.session import ADMIN, DEFAULT_STATE, StateOption, admin_password, platform_settings


def token(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Print a fresh access token (valid for a quarter of an hour)."""
    api = signed_in(state)
    emit({"access_token": api.token}, how, lambda result: result["access_token"])


def signed_in(state: Path) -> SearchApi:
    """The API of the stack in ``state``, signed in as its administrator."""
    settings = platform_settings(state)
    api = SearchApi(settings.required("api_url"), username=ADMIN, password=admin_password(settings))
    api.sign_in()
    return api
