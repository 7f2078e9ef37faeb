"""The GraphQL schema, with its limits."""

from __future__ import annotations

from functools import cache

import strawberry
from graphql import NoSchemaIntrospectionCustomRule
from strawberry.extensions import MaxAliasesLimiter, QueryDepthLimiter
from strawberry.schema.config import StrawberryConfig

from api.schema.arguments import UPLOAD, Upload
from api.schema.documents import reader_of
from api.schema.execution import OperationExecutor
from api.schema.mutation import Mutation
from api.schema.names import Names
from api.schema.query import Query

MAX_DEPTH = 6
MAX_ALIASES = 10


@cache
def make_schema() -> strawberry.Schema:
    """What can be asked; one for all executors of a process, as nothing of an answer is kept in it."""
    config = StrawberryConfig(name_converter=Names(), scalar_map={Upload: UPLOAD})
    return strawberry.Schema(query=Query, mutation=Mutation, config=config)


def make_executor(*, introspection: bool = False) -> OperationExecutor:
    """What answers it, within limits; with ``introspection``, tools may read the schema over the wire."""
    read = reader_of(
        [
            *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
            *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
            *([] if introspection else [NoSchemaIntrospectionCustomRule]),
        ],
        hide_suggestions=not introspection,
    )
    return OperationExecutor(make_schema(), read)
