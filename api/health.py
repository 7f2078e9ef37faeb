"""Whether the process lives, whether it can answer, and with which keys its tokens are verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from anyio import create_task_group, move_on_after
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.context import services_of
from security.key_rotation import JWKS_CACHE_S

PATIENCE_S = 3.0

log = structlog.get_logger()
router = APIRouter(tags=["health"])

Check = Callable[[], str | None]
"""Returns what is missing, or None; may raise, which counts as missing."""


@dataclass(frozen=True)
class Readiness:
    """The parts without which the API cannot answer."""

    checks: Mapping[str, Check]

    async def missing(self) -> dict[str, str | None]:
        """For each part what is missing, or None; all asked at once, none waited for longer than 3 s."""
        answers: dict[str, str | None] = dict.fromkeys(self.checks, f"no answer within {PATIENCE_S:.0f} s")
        with move_on_after(PATIENCE_S):
            async with create_task_group() as group:
                for name in self.checks:
                    group.start_soon(self._ask, name, answers)
        return answers

    async def _ask(self, name: str, answers: dict[str, str | None]) -> None:
        try:
            answers[name] = await run_sync(self.checks[name], abandon_on_cancel=True)
        except Exception as error:
            # The reason may name hosts: to the log with it, the caller hears which part only.
            log.warning("part is not ready", part=name, error=str(error))
            answers[name] = "does not answer"


class Part(BaseModel):
    """One part of the service."""

    ready: bool
    missing: str | None = None


class Ready(BaseModel):
    """The whole of it."""

    ready: bool
    parts: dict[str, Part]


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> dict[str, str]:
    """Always the same answer, without asking anybody else."""
    return {"status": "alive"}


@router.get("/readyz", summary="Can it answer searches?", responses={503: {"model": Ready}})
async def readyz(request: Request, response: Response) -> Ready:
    """200 when database, cache, model and index are there; 503, saying which is missing, otherwise."""
    missing = await services_of(request).readiness.missing()
    ready = not any(missing.values())
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return Ready(ready=ready, parts={name: Part(ready=not what, missing=what) for name, what in missing.items()})


@router.get("/.well-known/jwks.json", summary="Public keys that verify access tokens")
async def jwks(request: Request, response: Response) -> dict[str, list[dict[str, str]]]:
    """The JSON Web Key Set (RFC 7517)."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_CACHE_S}"
    return services_of(request).sessions.tokens.keys.jwks()
