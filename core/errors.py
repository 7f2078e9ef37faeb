"""The root of every error that Tejido shows to a person.

    TejidoError                 code, message, hint; rendered alike by the command line, HTTP and GraphQL
    ├── SettingsError           core.settings
    ├── CatalogError …          catalog.errors
    ├── FederationError …       federation.errors
    ├── SecurityError …         security.errors
    ├── ServerError …           server.errors
    ├── ApiError …              api.errors
    └── EmbeddedError …         embedded.errors

Each concrete class has a stable ``code`` that docs/reference/errors.md explains; a test holds the two together.
"""

from __future__ import annotations

from typing import ClassVar

EX_TEMPFAIL = 75
"""Exit status of what may well succeed when it is tried again (sysexits.h): a scheduler retries only this."""


class TejidoError(Exception):
    """Something went wrong that the reader of the message can act on.

    Args:
        message: what happened, and to which thing.
        hint: what to do next; empty when the message already says it.
    """

    code: ClassVar[str] = "tejido.error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, str]:
        """The one shape in which every edge renders an error."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ClientNameInvalid(TejidoError):
    """A client's name cannot be part of bucket, host and folder names."""

    code = "client.name_invalid"
