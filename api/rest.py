"""Search and browsing for programs that speak no GraphQL: the same services, checks, permission and errors."""

from __future__ import annotations

from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.datastructures import UploadFile

from api.arguments import (
    MAX_INT,
    checked_first,
    checked_picture,
    checked_query,
    checked_share,
)
from api.asked import Asked
from api.auth import bearer, identity_of
from api.body import UPLOAD_PATH
from api.context import Services, services_of
from api.cursors import after_file, file_cursor
from api.errors import RequestInvalid
from api.rest_models import (
    Addresses,
    Facet,
    Facets,
    FileParameters,
    Files,
    FilterParameters,
    ImageParameters,
    Product,
    ProductParameters,
    Refusal,
    SearchAnswer,
    SearchParameters,
    TextParameters,
)
from api.roles import Permission, require
from security.tokens import Identity

FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP."}},
            }
        }
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "An argument is out of its range or cannot be read."},
    401: {"model": Refusal, "description": "No valid access token."},
    429: {"model": Refusal, "description": "Too many searches within a minute; `Retry-After` says how long to wait."},
    503: {"model": Refusal, "description": "Search has no index yet, or a part does not answer."},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "The index holds no such product."}
}
TOO_LARGE: dict[int | str, dict[str, Any]] = {413: {"model": Refusal, "description": "The upload is too large."}}


async def reader_of(request: Request) -> Identity:
    """Who asks, if they may read.

    Raises:
        Unauthenticated: no valid token, or none with a role.
    """
    return require(identity_of(request), Permission.READ)


router = APIRouter(prefix="/v1", tags=["REST"], dependencies=[Depends(bearer)], responses=REFUSALS)
Reader = Annotated[Identity, Depends(reader_of)]


@router.get("/search", summary="Search by words")
async def search(request: Request, reader: Reader, asked: Annotated[TextParameters, Query()]) -> SearchAnswer:
    """The products whose pictures fit the words."""
    question = Asked(text=checked_query(asked.text), without=_optional("without", asked.without))
    return await _searched(request, reader, question, asked)


@router.post(
    UPLOAD_PATH.removeprefix("/v1"),
    summary="Search by a picture",
    openapi_extra={"requestBody": FORM},
    responses=TOO_LARGE,
)
async def search_by_image(request: Request, reader: Reader, asked: Annotated[ImageParameters, Query()]) -> SearchAnswer:
    """The products whose pictures look like this one, or fit it and the words; `image` is the form's file."""
    question = Asked(
        picture=checked_picture(None, await _uploaded(request)),
        text=_optional("text", asked.text),
        text_weight=checked_share("text_weight", asked.text_weight),
        without=_optional("without", asked.without),
    )
    return await _searched(request, reader, question, asked)


@router.get("/files/{file_id}/similar", summary="Search by a product", responses=NOT_FOUND)
async def similar(
    request: Request,
    reader: Reader,
    file_id: Annotated[int, Path(ge=0, le=MAX_INT)],
    asked: Annotated[SearchParameters, Query()],
) -> SearchAnswer:
    """The products that are most like one of the catalogue, which is not among them."""
    question = Asked(product=file_id, without=_optional("without", asked.without))
    return await _searched(request, reader, question, asked)


@router.get("/files", summary="Browse the catalogue")
async def files(request: Request, reader: Reader, asked: Annotated[FileParameters, Query()]) -> Files:  # noqa: ARG001
    """The products with these attributes, in the order of ids."""
    first, last = checked_first(asked.first), 0 if asked.after is None else after_file(asked.after)
    services = services_of(request)
    wanted, rows = await run_sync(services.vocabulary.checked, asked.wanted()), services.files
    # One more than asked for tells whether there are more.
    found = await run_sync(rows.files_after, wanted, last, first + 1)
    addresses = _addresses(services, asked)
    return Files(
        files=await run_sync(lambda: [Product.of(row, addresses) for row in found[:first]]),
        total=await run_sync(rows.count, wanted),
        next_cursor=file_cursor(found[first - 1].id) if len(found) > first else None,
    )


@router.get("/facets", summary="Count the catalogue by attribute")
async def facets(request: Request, reader: Reader, asked: Annotated[FilterParameters, Query()]) -> Facets:  # noqa: ARG001
    """How many products have each value of each attribute, of all that pass the filter."""
    services, wanted = services_of(request), asked.wanted()
    found = await run_sync(lambda: services.files.facets(services.vocabulary.checked(wanted)))
    return Facets(facets=[Facet.of(attribute, values) for attribute, values in found.items()])


async def _searched(request: Request, reader: Identity, question: Asked, asked: SearchParameters) -> SearchAnswer:
    services, first, wanted = services_of(request), checked_first(asked.first), asked.wanted_of_search()

    def find() -> SearchAnswer:
        services.search_limits.admit(reader.subject)
        services.vocabulary.checked(wanted.filter)
        page = services.search.find(question, first=first, after=asked.after, wanted=wanted)
        return SearchAnswer.of(page, with_cursors=asked.cursors, addresses=_addresses(services, asked))

    return await run_sync(find)


def _addresses(services: Services, asked: ProductParameters) -> Addresses | None:
    return services.image_urls.of if asked.image_urls else None


async def _uploaded(request: Request) -> bytes:
    # Read here and not by FastAPI, which would read the whole body before it asks for a token.
    async with request.form(max_files=1, max_fields=0) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise RequestInvalid("The form lacks the file `image`.", hint="Send it as multipart/form-data.")
        return await image.read()


def _optional(name: str, text: str | None) -> str | None:
    return None if text is None else checked_query(text, name=name)
