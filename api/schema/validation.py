"""Validates each document once, and stops at its first few errors.

Strawberry's own step looks for all of them, and for each wrong name for those that resemble it, also where such
suggestions are cut out of the answer: three hundred unknown arguments take a quarter of a second of a core.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from graphql import ASTValidationRule, DocumentNode, GraphQLError, GraphQLSchema, validate
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

MAX_ERRORS = 10
"""Enough for whoever writes a query; the last one then says that there are more."""
REMEMBERED = 64


class Validation(SchemaExtension):
    """In place of Strawberry's ``ValidationCache``.

    Args:
        hide_suggestions: whether to leave out, and not look for, names that were perhaps meant.
    """

    def __init__(self, *, hide_suggestions: bool) -> None:
        super().__init__()
        self._hide_suggestions = hide_suggestions

    def on_validate(self) -> Iterator[None]:
        """After parsing; what is found is what Strawberry then answers with."""
        context = self.execution_context
        if context.graphql_document is not None:
            context.pre_execution_errors = _errors(
                context.schema._schema,
                context.graphql_document,
                (*context.validation_rules, MaybeNullValidationRule, OneOfInputValidationRule),
                self._hide_suggestions,
            )
        yield


@lru_cache(maxsize=REMEMBERED)
def _errors(
    schema: GraphQLSchema, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...], hide_suggestions: bool
) -> list[GraphQLError]:
    return validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions)
