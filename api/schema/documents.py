"""Documents are parsed and validated once: a program asks the same few over and over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    parse,
    specified_rules,
    validate,
)

from api.guards import MAX_TOKENS

REMEMBERED = 64
MAX_ERRORS = 10
"""Of a document, and of its variables: enough for whoever writes a query; one more then says that there are others."""

Read = Callable[[GraphQLSchema, str], "Document"]


class Document:
    """A parsed document, and what is wrong with it."""

    def __init__(self, node: DocumentNode, errors: Sequence[GraphQLError]) -> None:
        self.node, self.errors = node, tuple(errors)


def reader_of(rules: Sequence[type[ASTValidationRule]], *, hide_suggestions: bool) -> Read:
    """Reads documents by GraphQL's own rules and these, and remembers the last `REMEMBERED`.

    Only the first few errors are looked for, and with ``hide_suggestions`` no names that were perhaps meant: for three
    hundred unknown arguments that takes a quarter of a second of a core.
    """

    @lru_cache(maxsize=REMEMBERED)
    def read(schema: GraphQLSchema, text: str) -> Document:
        node = parse(text, max_tokens=MAX_TOKENS)
        errors = validate(
            schema, node, (*specified_rules, *rules), max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions
        )
        return Document(node, errors)

    return read
