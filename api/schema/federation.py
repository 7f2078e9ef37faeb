"""The operators' queries: runs with their rounds, models, indexes, contributions, and who changed the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry

from api.schema.answering import counted
from api.schema.federation_types import Contribution, Run
from api.schema.model_types import IndexVersion, ModelChange, ModelVersion
from api.schema.operating import Request, looked_up
from api.schema.permissions import operable

if TYPE_CHECKING:
    from api.operations import Operations
    from server.run_views import RunView


async def runs(info: Request, first: int = 20) -> list[Run]:
    """Those that said something last, newest first."""
    first = counted(info, first)
    return [Run.of(found) for found in await looked_up(info, lambda o: o.overview().runs(first))]


async def run(info: Request, id: str) -> Run | None:
    """One run."""
    found = await looked_up(info, lambda o: o.overview().run(id)) if id else None
    return Run.of(found) if found else None


async def contributions(info: Request, run: str | None = None) -> list[Contribution]:
    """Of a run, the last one by default."""
    found = await looked_up(info, lambda o: _chosen(o, run))
    return [Contribution.of(client) for client in found.contributions()] if found else []


def _chosen(operations: Operations, run: str | None) -> RunView | None:
    overview = operations.overview()
    return overview.run(run) if run else next(iter(overview.runs(1)), None)


async def model_versions(info: Request) -> list[ModelVersion]:
    """All of them, newest first."""
    return [ModelVersion.of(found) for found in await looked_up(info, lambda o: o.overview().models())]


async def champion(info: Request) -> ModelVersion | None:
    """The version behind the alias."""
    found = await looked_up(info, lambda o: [m for m in o.overview().models() if m.is_champion])
    return ModelVersion.of(found[0]) if found else None


async def index_versions(info: Request) -> list[IndexVersion]:
    """All of them, newest first."""
    return [IndexVersion.of(found) for found in await looked_up(info, lambda o: o.overview().indexes())]


async def model_changes(info: Request, first: int = 50) -> list[ModelChange]:
    """The trail, newest first."""
    first = counted(info, first)
    return [ModelChange.of(found) for found in await looked_up(info, lambda o: o.overview().changes(first))]


@strawberry.type
class FederationQueries:
    """The operators' part of the root."""

    runs: list[Run] = operable(resolver=runs, description="Federated runs, the one that said something last first.")
    run: Run | None = operable(resolver=run, description="One run by its id; null when there is none.")
    contributions: list[Contribution] = operable(
        resolver=contributions, description="What each client gave to a run, by default to the last one."
    )
    model_versions: list[ModelVersion] = operable(
        resolver=model_versions, description="The registered model versions, newest first."
    )
    champion: ModelVersion | None = operable(
        resolver=champion, description="The model version that shall answer searches; null: none was promoted yet."
    )
    index_versions: list[IndexVersion] = operable(
        resolver=index_versions, description="The versions of the index, newest first, with the progress of a build."
    )
    model_changes: list[ModelChange] = operable(
        resolver=model_changes, description="Who promoted or rolled back what, when and why, newest first."
    )
