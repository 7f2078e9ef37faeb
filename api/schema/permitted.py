"""Refuses a document whole when its asker may not ask for one of its fields, before anything is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from graphql import DocumentNode, ExecutionResult, FieldNode, GraphQLError, GraphQLSchema, TypeInfo, Visitor, visit
from graphql.utilities import TypeInfoVisitor
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter

from api.context import QueryContext
from api.roles import Permission, require
from api.schema.permissions import permission_of
from core.errors import TejidoError
from security.errors import Forbidden

REMEMBERED = 64
"""Documents whose fields need not be looked at again."""


class Permitted(SchemaExtension):
    """Lets only those documents through all of whose fields carry a permission that the asker has."""

    def on_execute(self) -> Iterator[None]:
        """After validation, so that every field of the document is known to the schema."""
        context: QueryContext = self.execution_context.context
        document = self.execution_context.graphql_document
        try:
            if document is None:
                raise Forbidden("There is no document to look at.")
            for permission in _needed(_Document(document, self.execution_context.schema._schema)):
                require(context.identity, permission)
        except TejidoError as error:
            refusal = GraphQLError(error.message, original_error=error)
            self.execution_context.result = ExecutionResult(data=None, errors=[refusal])
        yield


class _Document:
    """A document with its schema, equal to itself alone: parsed documents are remembered, and theirs is the same."""

    def __init__(self, document: DocumentNode, schema: GraphQLSchema) -> None:
        self.document, self.schema = document, schema

    def __hash__(self) -> int:
        return hash((id(self.document), id(self.schema)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Document) and self.document is other.document and self.schema is other.schema


@lru_cache(maxsize=REMEMBERED)
def _needed(known: _Document) -> frozenset[Permission]:
    types = TypeInfo(known.schema)
    fields = _Fields(types)
    visit(known.document, TypeInfoVisitor(types, fields))
    return frozenset(fields.permissions)


class _Fields(Visitor):
    """Collects what the fields of a document ask for, in whatever operation or fragment they stand."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.permissions: set[Permission] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Note the field's permission."""
        if node.name.value.startswith("__"):
            return  # About the schema itself: a rule of validation decides.
        field = self._types.get_field_def()
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field else None
        permission = permission_of(definition.metadata) if definition else None
        if permission is None:
            raise Forbidden(f"The field {node.name.value} carries no permission.", hint="Tell the operator.")
        self.permissions.add(permission)
