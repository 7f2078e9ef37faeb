"""The part of the GraphQL schema that must not change, and the proof that every field of it is guarded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import strawberry
from fastapi.testclient import TestClient
from graphql import GraphQLObjectType, is_introspection_type

from api.context import QueryContext
from api.roles import Permission
from api.schema import make_executor, make_schema
from api.schema.documents import reader_of
from api.schema.execution import OperationExecutor
from api.schema.permissions import permission_of
from security.tokens import Identity
from tests.unit.api.fakes import Parts

FIELDS = (
    "id filename s3Path masterCategory subCategory articleType baseColour season year usage gender "
    "productDisplayName dataset createdAt created_at"
)


NOT_SHOWN = {"wanted", "page", "page_edges", "number"}
"""What a type remembers for its resolvers and GraphQL does not have."""
READABLE = {
    "Query", "FashionFile", "Facet", "FacetValue", "SearchConnection", "SearchEdge", "FileConnection", "FileEdge",
    "PageInfo", "BesideIndex", "ProductResult", "ProductError", "OwnProduct",
}  # fmt: skip
OPERABLE = {
    "Mutation", "Run", "Round", "RoundClient", "Contribution", "ModelVersion", "IndexVersion", "RecallBucket",
    "ModelChange", "Promotion", "Rollback", "ComparedVersion", "ComparedResult",
}  # fmt: skip
OPERATORS_QUERIES = {
    "runs", "run", "contributions", "model_versions", "champion", "index_versions", "model_changes", "compare_search",
}  # fmt: skip
CURATED = {"own_products", "create_products", "update_product", "delete_product"}


def ask(client: TestClient, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def expected(kind: str, field: str) -> Permission:
    if kind in ("Query", "Mutation") and field in CURATED:
        return Permission.CURATE
    is_operable = kind in OPERABLE or (kind == "Query" and field in OPERATORS_QUERIES)
    return Permission.OPERATE if is_operable else Permission.READ


def test_every_field_of_every_type_carries_the_permission() -> None:
    schema: Any = make_schema()
    types = [
        kind
        for name, kind in schema._schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
    ]
    assert {kind.name for kind in types} == READABLE | OPERABLE
    for kind in types:
        definition = schema.get_type_by_name(kind.name)
        fields = [field for field in definition.fields if field.python_name not in NOT_SHOWN]
        assert len(fields) == len(kind.fields)
        for field in fields:
            assert permission_of(field.metadata) is expected(kind.name, field.python_name), (
                f"{kind.name}.{field.python_name}"
            )


@pytest.mark.parametrize("identity", [None, Identity("ana", (), "jti", 0), Identity("ana", ("owner",), "jti", 0)])
def test_the_schema_itself_refuses_whoever_may_not_read(parts: Parts, identity: Identity | None) -> None:
    # Without the HTTP layer before it: the second fence stands by itself.
    executor = make_executor()
    for query in ("{ allFiles { id } }", "{ file(id: 1) { id } }", '{ searchByText(text: "like 1") { exact } }'):
        result = asyncio.run(executor.answer(query, QueryContext(identity, parts.services)))
        assert result.data is None
        assert result.errors
        assert (result.errors[0].extensions or {})["code"] == "security.unauthenticated"


def test_a_field_without_a_permission_is_nobodys(parts: Parts) -> None:
    @strawberry.type
    class Open:
        @strawberry.field
        def forgotten(self) -> int:
            return 7

    executor = OperationExecutor(strawberry.Schema(query=Open), reader_of([], hide_suggestions=True))
    context = QueryContext(Identity("ana", ("admin", "reader"), "jti", 0), parts.services)
    result = asyncio.run(executor.answer("{ forgotten }", context))
    assert result.data is None
    assert result.errors
    assert (result.errors[0].extensions or {})["code"] == "security.forbidden"


@pytest.mark.parametrize(
    "query",
    [
        "{ allFiles { id } runs { id } }",
        "{ allFiles { id } ... on Query { ...more } } fragment more on Query { runs { id } }",
        "query ($yes: Boolean = false) { allFiles { id } runs @include(if: $yes) { id } }",
        "{ allFiles { id } } fragment unused on Query { runs { id } }",
    ],
)
def test_no_fragment_or_directive_hides_a_field_from_the_look(client: TestClient, query: str) -> None:
    answer = ask(client, query)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] in ("security.forbidden", "api.query_invalid")


def test_all_files_has_the_fields_that_readers_rely_on(client: TestClient) -> None:
    (file,) = ask(client, f"{{ allFiles(limit: 1, offset: 6) {{ {FIELDS} }} }}")["data"]["allFiles"]
    assert file == {
        "id": 7, "filename": "7.jpg", "s3Path": "s3://data/train/v1/part-00000.parquet#7",
        "masterCategory": "Apparel", "subCategory": "Topwear", "articleType": "Tshirts", "baseColour": "Black",
        "season": "Summer", "year": 2012, "usage": "Casual", "gender": "Men", "productDisplayName": "Shirt 7",
        "dataset": "test", "createdAt": "2026-11-23T12:00:00+00:00", "created_at": "2026-11-23T12:00:00+00:00",
    }  # fmt: skip


def test_filters_and_their_defaults_are_those_of_the_contract(client: TestClient) -> None:
    query = """query ($colour: String, $year: String) {
      filesByFilters(masterCategory: "Apparel", subCategory: "Topwear", articleType: "Tshirts", gender: "Men",
                     baseColour: $colour, season: "Summer", year: $year, usage: "Casual") { id baseColour year }
    }"""
    found = ask(client, query, colour="Black", year="2012")["data"]["filesByFilters"]
    assert len(found) == 50
    assert {(file["baseColour"], file["year"]) for file in found} == {("Black", 2012)}
    (error,) = ask(client, query, colour="Mauve")["errors"]
    assert (error["extensions"]["code"], error["message"]) == (
        "api.argument_invalid", "No product has the base colour 'Mauve'.",
    )  # fmt: skip


def test_one_file_or_none(client: TestClient) -> None:
    query = "query ($id: Int!) { file(id: $id) { id } }"
    assert ask(client, query, id=3)["data"]["file"] == {"id": 3}
    for number in (0, -1, 999_999):
        assert ask(client, query, id=number) == {"data": {"file": None}}


@pytest.mark.parametrize(
    "arguments",
    [
        "allFiles(limit: 101)",
        "allFiles(limit: 0)",
        "allFiles(limit: -5)",
        "allFiles(offset: -1)",
        "allFiles(offset: 2000000)",
        'filesByFilters(year: "twenty")',
        'filesByFilters(year: "20123")',
        'filesByFilters(year: "²")',
        'filesByFilters(gender: "M\\u0000en")',
        f'filesByFilters(usage: "{"x" * 301}")',
    ],
)
def test_arguments_out_of_range_are_refused_with_a_hint(client: TestClient, parts: Parts, arguments: str) -> None:
    (error,) = ask(client, f"{{ {arguments} {{ id }} }}")["errors"]
    assert error["extensions"]["code"] == "api.argument_invalid"
    assert error["extensions"]["hint"]
    assert parts.files.asked == 0


def test_a_database_that_is_away_is_an_error_that_names_no_host(client: TestClient, parts: Parts) -> None:
    parts.files.is_down = True
    answer = ask(client, "{ allFiles { id } }")
    assert answer["errors"][0]["extensions"]["code"] == "api.unavailable"
    assert "secret-host" not in str(answer)


def test_what_a_resolver_raises_by_accident_stays_in_the_log(client: TestClient, parts: Parts) -> None:
    parts.files.rows = [None]  # type: ignore[list-item]
    answer = ask(client, "{ allFiles { id } }")
    assert answer["errors"][0]["message"] == "Unexpected error."
    assert answer["errors"][0]["extensions"]["code"] == "api.unexpected"
    assert "NoneType" not in str(answer)
