"""The one GraphQL endpoint: POST /graphql, a token first, then a guarded document.

Strawberry's own router also answers GET, opens websockets and reads any upload; none of that is wanted here, so the
request is read by this module and the schema is executed directly.
"""

from __future__ import annotations

import json
from asyncio import sleep
from typing import Any, NoReturn

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_json
from starlette.datastructures import FormData, UploadFile

from api.auth import bearer, identity_of
from api.body import MAX_GRAPHQL_BYTES
from api.context import QueryContext, services_of
from api.errors import RequestInvalid
from api.guards import check_document, check_nesting, check_variables
from api.roles import Permission, require
from api.schema.execution import OperationExecutor
from core.errors import TejidoError

MULTIPART = "multipart/form-data"
REFUSED_S = 0.02
"""How long whoever asks for what cannot be answered waits to be told: nobody notices, and who does nothing else takes a
tenth of what it could from all others."""
HINT = 'Send {"query": …, "variables": {…}} as application/json.'

router = APIRouter(tags=["GraphQL"])

EXAMPLE: dict[str, JsonValue] = {
    "query": "query ($text: String!) { searchByText(text: $text, first: 5) "
    "{ indexVersion modelVersion edges { score node { id productDisplayName } } } }",
    "variables": {"text": "navy blue checked shirt"},
}


class GraphQLRequest(BaseModel):
    """What a client sends (GraphQL over HTTP)."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]})

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = Field(default=None, alias="operationName")
    extensions: dict[str, Any] | None = None


@router.post(
    "/graphql",
    summary="Ask for products and search them; operate the federation",
    dependencies=[Depends(bearer)],
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": GraphQLRequest.model_json_schema()}}}},
)
async def graphql(request: Request) -> Response:
    """Answer one query or mutation. The body is not read before the token is verified."""
    identity = require(identity_of(request), Permission.READ)
    try:
        asked = await _read(request)
        check_document(asked.query)
        check_variables(asked.variables)
    except TejidoError:
        await sleep(REFUSED_S)
        raise
    executor: OperationExecutor = request.app.state.executor
    context = QueryContext(identity, services_of(request))
    result = await executor.answer(asked.query, context, variables=asked.variables, name=asked.operation_name)
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        await sleep(REFUSED_S)
        answer["errors"] = [error.formatted for error in result.errors]
    # A page of products has 10 KB, for which Starlette's JSONResponse takes three times as long.
    return Response(
        to_json(answer, inf_nan_mode="null"), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


async def _read(request: Request) -> GraphQLRequest:
    if request.headers.get("content-type", "").lower().startswith(MULTIPART):
        async with request.form(max_files=1, max_fields=2, max_part_size=MAX_GRAPHQL_BYTES) as form:
            return await _from_form(form)
    return _parsed(_json(await request.body()))


async def _from_form(form: FormData) -> GraphQLRequest:
    """The subset of the GraphQL multipart request specification that search needs: one file, for one variable."""
    operations, places = form.get("operations"), form.get("map")
    if not isinstance(operations, str) or not isinstance(places, str):
        _refuse("The form lacks `operations` or `map`.")
    asked = _parsed(_json(operations.encode()))
    for name, paths in _map(places).items():
        file = form.get(name)
        prefix, _, variable = paths[0].partition(".") if len(paths) == 1 else ("", "", "")
        if not isinstance(file, UploadFile) or prefix != "variables" or not variable.isidentifier():
            _refuse("The form's map must name one file for one variable.")
        asked = asked.model_copy(update={"variables": {**(asked.variables or {}), variable: await file.read()}})
    return asked


def _map(text: str) -> dict[str, list[str]]:
    places = _json(text.encode())
    if not isinstance(places, dict) or len(places) > 1:
        _refuse("The form's map must name one file for one variable.")
    if not all(isinstance(paths, list) and all(isinstance(path, str) for path in paths) for paths in places.values()):
        _refuse("The form's map must name one file for one variable.")
    return places


def _json(body: bytes) -> object:
    check_nesting(body)
    try:
        return _reader.decode(body.decode())
    except (ValueError, RecursionError):
        # RecursionError: a hundred thousand brackets are a bad request, not a broken server.
        _refuse("The body is not JSON, or is nested too deep.")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# One for all requests: making one takes as long as reading a query. Between machines JSON is UTF-8 (RFC 8259, 8.1).
_reader = json.JSONDecoder(parse_constant=_no_constant)


def _parsed(data: object) -> GraphQLRequest:
    try:
        return GraphQLRequest.model_validate(data)
    except ValidationError:
        _refuse("The body is not one GraphQL request.")


def _refuse(message: str) -> NoReturn:
    raise RequestInvalid(message, hint=HINT)
