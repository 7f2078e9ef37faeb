"""GET /metrics, for whoever bears the scraper's token: what is counted tells how busy a platform is, and with what."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.context import services_of
from api.errors import NotFound
from security.errors import Unauthenticated

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """All metrics of this process.

    Raises:
        NotFound: no token is set, so there is nothing to read here.
        Unauthenticated: another token, or none.
    """
    services = services_of(request)
    if services.metrics_token is None:
        raise NotFound("There is nothing at /metrics.", hint="Set TEJIDO_METRICS_TOKEN_FILE to have metrics.")
    given = request.headers.get("Authorization", "")
    # In constant time, and on bytes: a header may hold any.
    if not hmac.compare_digest(given.encode(), f"Bearer {services.metrics_token}".encode()):
        raise Unauthenticated("no scraper's token")
    return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
