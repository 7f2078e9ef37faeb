"""What can be wrong with a deployment's files."""

from __future__ import annotations

from core.errors import TejidoError


class ComposeFileUnreadable(TejidoError):
    """The compose file is missing, or not ours."""

    code = "deployment.compose_unreadable"


class ClientExists(TejidoError):
    """A client of this name is there already."""

    code = "deployment.client_exists"
