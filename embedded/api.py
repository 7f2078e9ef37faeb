"""The platform's own API: uvicorn with ``api.app:create_app``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, answers
from embedded.state import StateFolder


@dataclass(frozen=True, kw_only=True)
class Api(ServiceDefaults):
    """The GraphQL API and web page."""

    state: StateFolder
    port: Port
    api_env: Path
    name: str = "API"
    slug: str = "api"
    needs: tuple[str, ...] = ("catalogue", "valkey")
    deadline_s: float = 120.0

    @property
    def url(self) -> str:
        """Of the web page and the API."""
        return f"http://{LOOPBACK}:{self.port.number}"

    def command(self) -> Command:
        """The server in the foreground."""
        where = ("--host", LOOPBACK, "--port", str(self.port.number))
        arguments = (
            *(sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", *where),
            # Access logs would hold what people search for.
            "--no-access-log",
            # No proxy stands before it: whoever says to be one would choose the address that log-ins are counted by.
            "--no-proxy-headers",
        )
        return Command(arguments, {"TEJIDO_ENV_FILE": str(self.api_env)}, cwd=self.state.root)

    def is_ready(self) -> bool:
        """Whether its process answers; whether it can search is what /readyz tells."""
        return answers(f"{self.url}/healthz")
