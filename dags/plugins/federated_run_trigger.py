"""Waits in Airflow's triggerer for a federated run, so that no worker is held while clients train.

It lies in Airflow's plugins folder because the triggerer does not look for modules among the DAGs; it imports nothing
of theirs for the same reason.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

LINE_BYTES = 2**20
"""An error on one line may bring the end of a log with it."""


class FederatedRunTrigger(BaseTrigger):
    """Fires when `tejido federation wait` ends; the event tells its exit status and the last line that it said."""

    def __init__(self, run: str, progress_key: str) -> None:
        super().__init__()
        self.run_key, self.progress_key = run, progress_key

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes this trigger again."""
        return "federated_run_trigger.FederatedRunTrigger", {"run": self.run_key, "progress_key": self.progress_key}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; where the triggerer ends meanwhile, the run goes on and the next triggerer waits."""
        process = await self._tejido("wait")
        said = ""
        try:
            async for line in process.stderr:
                said = line.decode(errors="replace").rstrip()
                self.log.info(said)
            yield TriggerEvent({"status": await process.wait(), "said": said})
        finally:
            if process.returncode is None:
                process.kill()

    async def on_kill(self) -> None:
        """A person has cleared the task or marked it: end the run. It can go on after its last complete round."""
        process = await self._tejido("stop")
        await process.wait()

    async def _tejido(self, verb: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(os.environ["TEJIDO_BIN"], "federation", verb, self.run_key, "--format", "json"),
            env={**os.environ, "TEJIDO_PROGRESS_KEY": self.progress_key},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
