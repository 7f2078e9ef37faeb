"""What is attacked: one API process, with the keys that sign its tokens, so that attacks can be one step from right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from security.signing_keys import SigningKeys
from security.tokens import AccessTokens


@dataclass(frozen=True)
class Target:
    """A running API."""

    url: str
    keys: SigningKeys
    process: psutil.Process
    log: Path

    @property
    def tokens(self) -> AccessTokens:
        """The very function that the API verifies with, over the same keys."""
        return AccessTokens(self.keys)

    def token(self, role: str) -> str:
        """A valid one."""
        client = "aurora" if role == "curator" else None
        return self.tokens.issue(f"{role} of the attacks", [role], client=client)

    def cpu_s(self) -> float:
        """Processor seconds that the API has used; what else runs on the machine does not count."""
        spent = self.process.cpu_times()
        return float(spent.user + spent.system)

    def memory_mb(self) -> float:
        """Its resident memory."""
        return float(self.process.memory_info().rss) / 2**20
