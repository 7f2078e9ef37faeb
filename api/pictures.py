"""The pictures of products, for whoever bears a token, or has a link that was made for one; see image_urls.py."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Protocol

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.auth import bearer, identity_of
from api.context import services_of
from api.errors import NotFound
from api.ports import Files
from api.roles import Permission, require
from catalog.errors import KeyInvalid, ObjectMissing

CONCURRENT_READS = 4
CACHE_S = 3600
KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}

log = structlog.get_logger()
router = APIRouter(tags=["pictures"])
_readers = CapacityLimiter(CONCURRENT_READS)


class PictureStore(Protocol):
    """Where pictures lie; `catalog.pictures.ShardPictures` in production."""

    def picture(self, s3_path: str) -> bytes:
        """The encoded picture at ``s3_path``."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture, its media type and its hash."""

    data: bytes
    media_type: str
    sha256: str


@dataclass(frozen=True)
class Pictures:
    """Finds the picture of a product, and makes sure that it is the one that was published."""

    files: Files
    store: PictureStore

    def of(self, file_id: int) -> Picture:
        """The picture of one product.

        Raises:
            NotFound: no such product, or its picture is gone or is another than was published.
        """
        row = self.files.file(file_id)
        if row is None:
            raise _missing(file_id)
        try:
            data = self.store.picture(row.s3_path)
        except (ObjectMissing, KeyInvalid) as error:
            log.warning("picture is missing", product=file_id, error=str(error))
            raise _missing(file_id) from None
        digest = hashlib.sha256(data).hexdigest()
        media_type = next((kind for magic, kind in KINDS.items() if data.startswith(magic)), None)
        if digest != row.image_sha256 or media_type is None:
            log.error("picture is not the published one", product=file_id)
            raise _missing(file_id)
        return Picture(data, media_type, digest)


@router.get(
    "/files/{file_id}/image",
    summary="The picture of one product",
    response_class=Response,
    dependencies=[Depends(bearer)],
    responses={200: {"content": {key: {} for key in KINDS.values()}}},
)
async def picture(
    request: Request,
    file_id: Annotated[int, Path(ge=0)],
    until: Annotated[int | None, Query(description="When the link ends; comes with `imageUrl`.")] = None,
    signature: Annotated[str, Query(max_length=64, description="Of such a link, in place of a token.")] = "",
) -> Response:
    """The file as it was published; 304 when the caller has it already."""
    if until is None:
        require(identity_of(request), Permission.READ)
    else:
        services_of(request).image_urls.check(file_id, until, signature)
    found = await run_sync(services_of(request).pictures.of, file_id, limiter=_readers)
    headers = {"ETag": f'"{found.sha256}"', "Cache-Control": f"private, max-age={CACHE_S}"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.media_type, headers=headers)


def _missing(file_id: int) -> NotFound:
    return NotFound(f"Product {file_id} has no picture here.", hint="Ask allFiles for the products that exist.")
