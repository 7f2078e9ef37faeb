"""Reads plain values of an answer directly, where graphql-core would take the same long way for each of them.

A page of twenty products has four hundred values, and nearly all are attributes of a row: no arguments, no resolver,
nothing to wait for. graphql-core builds a path, an info object and argument values for each, which costs more than
the search itself. Here each selection is looked at once for an operation, and its plain values are then read in one
loop. All else (resolvers, arguments, abstract types) and all that fails (a null where none may be, a value that its
type refuses) goes graphql-core's way, which reports it as it should: this module makes nothing of its own but speed.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

TYPENAME = "__typename"
Read = Callable[[Any], Any]
"""From an object, or from a field's value, to what the answer holds."""


class NotPlainError(Exception):
    """A value is not as its type says."""


class Selection:
    """What is asked of one type: what can be read directly, and the rest."""

    def __init__(self, asked: GroupedFieldSet, plain: dict[str, Read]) -> None:
        self.asked = asked  # Held, so that the id by which the selection is known stays its own.
        self.plain = list(plain.items())
        self.rest: GroupedFieldSet = {key: details for key, details in asked.items() if key not in plain}

    def read(self, source: Any) -> dict[str, Any]:
        """The plain values of an object."""
        return {key: read(source) for key, read in self.plain}

    def merged(self, plain: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """Both in the order in which they were asked for, as GraphQL wants it."""
        return {key: plain[key] if key in plain else rest[key] for key in self.asked if key in plain or key in rest}


class PlainValues(StrawberryGraphQLCoreExecutionContext):
    """The executor of an operation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._selections: dict[tuple[int, str], Selection] = {}

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> Any:
        """As graphql-core does, without telling, or looking long for, names that were perhaps meant in variables."""
        return super().build(*args, **{**kwargs, "hide_suggestions": True})

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """As graphql-core does, of which this is an override."""
        selection = self._selection(parent_type, grouped_field_set)
        try:
            plain = selection.read(source_value)
        except Exception:  # Whatever it was: the long way meets it again, and tells where.
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        if not selection.rest:
            return plain
        rest: Any = super().execute_fields(parent_type, source_value, path, selection.rest, position_context)
        if self.is_awaitable(rest):
            return _later(selection, plain, rest)
        return selection.merged(plain, rest)

    def _selection(self, parent: GraphQLObjectType, asked: GroupedFieldSet) -> Selection:
        known = self._selections.get((id(asked), parent.name))
        if known is None:
            reads = {key: self._field(parent, details) for key, details in asked.items()}
            known = Selection(asked, {key: read for key, read in reads.items() if read is not None})
            self._selections[id(asked), parent.name] = known
        return known

    def _field(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        """How to read a field of an object; None: not directly."""
        name = details[0].node.name.value
        if name == TYPENAME:
            return lambda _: parent.name
        field = self.schema.get_field(parent, name)
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field else None
        if field is None or field.args or not isinstance(definition, StrawberryField) or not definition.is_basic_field:
            return None
        value = self._value(field.type, details)
        if value is None:
            return None
        attribute, complete = attrgetter(definition.python_name), value
        return lambda source: complete(attribute(source))

    def _value(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Read | None:
        """How to complete a value of a type; None: not directly."""
        if is_non_null_type(type_):
            return self._present(type_.of_type, details)
        present = self._present(type_, details)
        return None if present is None else (lambda value: None if value is None else present(value))

    def _present(self, inner: GraphQLOutputType, details: FieldDetailsList) -> Read | None:
        """The same of a value that must be there."""
        if is_leaf_type(inner):
            return _leaf(inner.coerce_output_value)
        if is_list_type(inner):
            return _list(self._value(inner.of_type, details))
        if is_object_type(inner) and inner.is_type_of is None:
            return self._object(inner, details)
        return None

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        collected = self.collect_subfields(type_, details)
        selection = self._selection(type_, collected.grouped_field_set)
        return None if selection.rest or collected.new_defer_usages else _not_null(selection.read)


async def _later(selection: Selection, plain: dict[str, Any], rest: Any) -> dict[str, Any]:
    return selection.merged(plain, await rest)


def _leaf(coerce: Read) -> Read:
    def read(value: Any) -> Any:
        found = None if value is None else coerce(value)
        if found is None or found is Undefined:
            raise NotPlainError
        return found

    return read


def _list(item: Read | None) -> Read | None:
    def read(values: Any) -> Any:
        if not isinstance(values, (list, tuple)):
            raise NotPlainError
        return [item(value) for value in values]  # type: ignore[misc]  # None is not given out.

    return None if item is None else read


def _not_null(read: Read) -> Read:
    def checked(value: Any) -> Any:
        if value is None:
            raise NotPlainError
        return read(value)

    return checked
