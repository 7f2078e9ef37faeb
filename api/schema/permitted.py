"""Refuses a document whole when its asker may not ask for one of its fields, before anything is resolved."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from graphql import DocumentNode, FieldNode, GraphQLSchema, TypeInfo, Visitor, visit
from graphql.utilities import TypeInfoVisitor
from strawberry.schema.schema_converter import GraphQLCoreConverter

from api.roles import Permission, require
from api.schema.permissions import permission_of
from security.errors import Forbidden
from security.tokens import Identity

REMEMBERED = 64
"""Documents whose fields need not be looked at again."""


def check_permitted(document: DocumentNode, schema: GraphQLSchema, identity: Identity | None) -> None:
    """Let those documents pass all of whose fields carry a permission that the asker has.

    Args:
        document: a valid one, so that every field of it is known to the schema.
        schema: of strawberry, whose fields know what they ask for.
        identity: the asker.

    Raises:
        Unauthenticated: nobody asks.
        Forbidden: the asker lacks a permission, or a field carries none.
    """
    for permission in _needed(_Document(document, schema)):
        require(identity, permission)


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
