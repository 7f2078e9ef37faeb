"""The API as one ASGI application: ``uvicorn --factory api.app:create_app``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import auth, error_responses, graphql, health, pages, pictures, rest, scraping
from api.body import BodyLimit
from api.context import Services
from api.headers import SecurityHeaders
from api.requests import Requests
from api.schema import make_executor
from api.tracing import trace_requests
from api.wiring import connected
from core.logs import configure_logs
from core.settings import settings
from core.tracing import is_traced, start_tracing

DESCRIPTION = """
Search fashion products by words or by picture. Get a token from `/auth/token` (the *Authorize* button), then ask
`POST /graphql`, which answers one query or mutation at a time:

- `allFiles(limit = 50, offset = 0)` and `file(id)`
- `filesByFilters(masterCategory, subCategory, articleType, gender, baseColour, season, year, usage, limit, offset)`
- `files(first = 20, after, filter)`: the catalogue by cursor, with `totalCount` and `facets`
- `searchByText(text, first = 20, after, filter)`, `searchByImage(image or upload, first = 20, after, filter)` and
  `similarTo(id, first = 20, after, filter)`, with `{ indexVersion modelVersion exact truncated totalCount
  edges { score node { … } } pageInfo { hasNextPage endCursor } }`; `image` is base64, `upload` a file of a
  `multipart/form-data` request (GraphQL multipart request specification)
- for a client's curator: `createProducts(products)`, `updateProduct(id, changes)`, `deleteProduct(id)` and
  `ownProducts(references)`

Operators also ask for `runs`, `run(id)`, `contributions(run)`, `modelVersions`, `champion`, `indexVersions`,
`modelChanges` and `compareSearch(text, versions, first, filter)`, and do `promoteModel(version, reason, override)` and
`rollBackModel(reason, to)`.

A product has `id filename s3Path masterCategory subCategory articleType baseColour season year usage gender
productDisplayName brand dataset owner origin imageUrl split createdAt created_at`. At most 100 at a time,
and 200 in all lists of a query together.

The same searches without GraphQL: `GET /v1/search`, `POST /v1/search/image`, `GET /v1/files/{file_id}/similar`,
`GET /v1/files` and `GET /v1/facets`, with attributes as parameters.
"""

# Not its access log, whose lines hold what people look for; to give that a handler would switch it on.
SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "asyncio")

SWITCH_S = 0.0005
"""How long one thread may keep the interpreter while others wait for it. Python's 5 ms are longer than a search takes:
whose rows have come would wait that long for whatever somebody else's query has the server read, several times over."""


def create_app(services: Services | None = None) -> FastAPI:
    """The application; with ``services`` it talks to those, otherwise to the parts that the settings name.

    Raises:
        SettingsError: a setting that the API needs is missing.
        SecurityError: the signing keys cannot be used.
    """
    configure_logs(also=SERVER_LOGGERS)
    sys.setswitchinterval(SWITCH_S)
    if services is None:
        start_tracing("tejido-api", settings())
    found = services or connected(settings())
    live = found.search.model
    found.metrics.watch(lambda: live.loaded, found.connections, is_behind=lambda: live.is_behind)
    app = FastAPI(
        title="Tejido", version="0.1.0", description=DESCRIPTION, lifespan=_lifespan, docs_url=None, redoc_url=None
    )
    app.state.services = found
    app.state.executor = make_executor(introspection=found.introspection)
    error_responses.install(app)
    # The last one added is the outermost: every answer bears the headers, that of the limit too.
    app.add_middleware(BodyLimit)
    app.add_middleware(Requests)
    app.add_middleware(SecurityHeaders, pictures=found.image_urls.origins)
    for part in (auth, graphql, rest, pictures, health, scraping, pages):
        app.include_router(part.router)
    if is_traced():
        trace_requests(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    # The model loads behind the running server: /healthz answers at once, /readyz says when searches do.
    services.search.model.start()
    services.catching_up.start()
    services.sessions.revocations.start()
    try:
        yield
    finally:
        services.sessions.revocations.stop()
        services.catching_up.stop()
        services.search.model.stop()
        services.close()
