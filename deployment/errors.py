"""What can be wrong with a deployment's files."""

from __future__ import annotations

from core.errors import TejidoError


class ComposeFileUnreadable(TejidoError):
    """The compose file is missing, or not ours; or a client's own does not say what it enrols for."""

    code = "deployment.compose_unreadable"


class ClientExists(TejidoError):
    """A client of this name is there already."""

    code = "deployment.client_exists"


class ClientUnknown(TejidoError):
    """There is no client of this name to remove."""

    code = "deployment.client_unknown"


class HandoverInvalid(TejidoError):
    """What a client is given cannot be written where it shall be."""

    code = "deployment.handover_invalid"
