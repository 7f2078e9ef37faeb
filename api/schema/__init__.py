"""The GraphQL schema, with its limits."""

from __future__ import annotations

from collections.abc import Callable

import strawberry
from graphql import NoSchemaIntrospectionCustomRule
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
)
from strawberry.schema.config import StrawberryConfig

from api.guards import MAX_TOKENS
from api.schema.arguments import UPLOAD, Upload
from api.schema.masking import QuietSchema, ShapedErrors
from api.schema.mutation import Mutation
from api.schema.permitted import Permitted
from api.schema.plain_values import PlainValues
from api.schema.query import Query
from api.schema.validation import Validation

MAX_DEPTH = 6
MAX_ALIASES = 10
CACHED_DOCUMENTS = 64


def make_schema(*, introspection: bool = False) -> strawberry.Schema:
    """The schema; with ``introspection``, tools may read it over the wire."""
    # Made once: the limiters make new rule classes each time, and the cache of validations is keyed by them.
    rules = [
        *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
        *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
        *([] if introspection else [NoSchemaIntrospectionCustomRule]),
    ]
    extensions: list[Callable[[], SchemaExtension]] = [
        ShapedErrors,
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: AddValidationRules(rules),
        lambda: ParserCache(maxsize=CACHED_DOCUMENTS),
        lambda: Validation(hide_suggestions=not introspection),
        Permitted,
    ]
    return QuietSchema(
        query=Query,
        mutation=Mutation,
        extensions=extensions,
        execution_context_class=PlainValues,
        config=StrawberryConfig(
            auto_camel_case=True, disable_field_suggestions=not introspection, scalar_map={Upload: UPLOAD}
        ),
    )
