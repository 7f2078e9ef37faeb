"""Reads plain values of an answer directly, where graphql-core would take the same long way for each of them.

A page of twenty products has four hundred values, and nearly all are attributes of a row: no arguments, no resolver,
nothing to wait for. graphql-core builds a path, an info object and argument values for each, which costs more than
the search itself. Here each selection of a document is looked at once, and its plain values are then read in one loop.
All else (resolvers, arguments, abstract types) and all that fails (a null where none may be, a value that its type
refuses) goes graphql-core's way, which reports it as it should: this module makes nothing of its own but speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from operator import attrgetter
from typing import Any, ClassVar

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    FieldNode,
    GraphQLFloat,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
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
REMEMBERED = 512
"""Selections; documents are remembered too, and theirs are the same objects each time."""

Read = Callable[[Any], Any]
"""From a field's value to what the answer holds."""
Key = tuple[int, ...]


class NotPlainError(Exception):
    """A value is not as its type says."""


class Selection:
    """What is asked of one type: what can be read directly, and the rest.

    Args:
        parent: the type.
        asked: response key → what is asked under it.
        plain: response key → attribute and how its value is completed.
    """

    def __init__(
        self, parent: GraphQLObjectType, asked: GroupedFieldSet, plain: dict[str, tuple[str | None, Read]]
    ) -> None:
        self._asked = list(asked)
        # Held: while they are, their ids are nobody else's.
        self.held = (parent, *_nodes(asked))
        named = [(key, name, complete) for key, (name, complete) in plain.items() if name is not None]
        self._keys = [key for key, _, _ in named]
        self._as_they_are = [AS_THEY_ARE.get(complete) for _, _, complete in named]
        self._completed = [(key, complete) for key, _, complete in named if complete not in AS_THEY_ARE]
        self._constant = {key: complete(None) for key, (name, complete) in plain.items() if name is None}
        names = [name for _, name, _ in named]
        # With one name alone, attrgetter gives no tuple.
        self._get = attrgetter(*names, names[0]) if names else lambda _: ()
        self._rest = frozenset(asked) - frozenset(plain)
        self.is_whole = not self._rest
        self._is_in_order = not self._constant and self.is_whole
        self._known_types: set[tuple[type, ...]] = set()

    def read(self, source: Any) -> dict[str, Any]:
        """The plain values of an object."""
        values = self._get(source)
        types = tuple(map(type, values))
        if types not in self._known_types:
            self._learn(types)
        found = dict(zip(self._keys, values, strict=False))
        for key, complete in self._completed:
            found[key] = complete(found[key])
        return found if self._is_in_order else self.merged(found, {})

    def _learn(self, types: tuple[type, ...]) -> None:
        """Most values are texts, which stay as they are. Whether all are is asked once for all rows of these types."""
        if any(allowed and kind not in allowed for allowed, kind in zip(self._as_they_are, types, strict=False)):
            raise NotPlainError
        if len(self._known_types) < REMEMBERED:
            self._known_types.add(types)

    def rest_of(self, asked: GroupedFieldSet) -> GroupedFieldSet:
        """What is left to ask for."""
        return {key: details for key, details in asked.items() if key in self._rest}

    def merged(self, plain: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """All in the order in which it was asked for, as GraphQL wants it."""
        found = {**plain, **self._constant, **rest}
        return {key: found[key] for key in self._asked if key in found}


class PlainValues(StrawberryGraphQLCoreExecutionContext):
    """The executor of an operation."""

    known: ClassVar[dict[Key, Selection]] = {}
    """Selections of documents that say the same whatever their variables are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = self.operation.loc
        # Directives, of which `@skip` and `@include` ask a variable.
        if where is None or "@" in where.source.body:
            self.known = {}  # type: ignore[misc]  # This operation's own.

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
        if selection.is_whole:
            return plain
        left = selection.rest_of(grouped_field_set)
        rest: Any = super().execute_fields(parent_type, source_value, path, left, position_context)
        if self.is_awaitable(rest):
            return _later(selection, plain, rest)
        return selection.merged(plain, rest)

    def _selection(self, parent: GraphQLObjectType, asked: GroupedFieldSet) -> Selection:
        key = (id(parent), *map(id, _nodes(asked)))
        selection = self.known.get(key)
        if selection is None:
            fields = {name: self._field(parent, details) for name, details in asked.items()}
            selection = Selection(parent, asked, {name: field for name, field in fields.items() if field})
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = selection
        return selection

    def _field(self, parent: GraphQLObjectType, details: FieldDetailsList) -> tuple[str | None, Read] | None:
        """The attribute of a field and how to complete its value; None: it cannot be read directly."""
        name = details[0].node.name.value
        if name == TYPENAME:
            return None, lambda _: parent.name
        field = self.schema.get_field(parent, name)
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field else None
        if field is None or field.args or not isinstance(definition, StrawberryField) or not definition.is_basic_field:
            return None
        complete = self._value(field.type, details)
        return None if complete is None else (definition.python_name, complete)

    def _value(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Read | None:
        """How to complete a value of a type; None: not directly."""
        if is_non_null_type(type_):
            return self._present(type_.of_type, details)
        present = self._present(type_, details)
        if present is None or present is _text:
            return _optional_text if present else None
        return lambda value: None if value is None else present(value)

    def _present(self, inner: GraphQLOutputType, details: FieldDetailsList) -> Read | None:
        """The same of a value that must be there."""
        if is_leaf_type(inner):
            return QUICK.get(inner) or _leaf(inner)
        if is_list_type(inner):
            return _list(self._value(inner.of_type, details))
        if is_object_type(inner) and inner.is_type_of is None:
            return self._object(inner, details)
        return None

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        collected = self.collect_subfields(type_, details)
        selection = self._selection(type_, collected.grouped_field_set)
        return selection.read if selection.is_whole and not collected.new_defer_usages else None


async def _later(selection: Selection, plain: dict[str, Any], rest: Any) -> dict[str, Any]:
    return selection.merged(plain, await rest)


def _nodes(asked: GroupedFieldSet) -> Iterator[FieldNode]:
    return (detail.node for details in asked.values() for detail in details)


def _leaf(type_: GraphQLLeafType) -> Read:
    coerce = type_.coerce_output_value

    def read(value: Any) -> Any:
        found = None if value is None else coerce(value)
        if found is None or found is Undefined:
            raise NotPlainError
        return found

    return read


_other_text, _other_int, _other_float = _leaf(GraphQLString), _leaf(GraphQLInt), _leaf(GraphQLFloat)


def _text(value: Any) -> Any:
    """Nearly all values are as they shall be already; so with numbers."""
    return value if type(value) is str else _other_text(value)


def _optional_text(value: Any) -> Any:
    return value if value is None or type(value) is str else _other_text(value)


def _int(value: Any) -> Any:
    return value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else _other_int(value)


def _float(value: Any) -> Any:
    return value if type(value) is float and isfinite(value) else _other_float(value)


QUICK: Mapping[GraphQLLeafType, Read] = {GraphQLString: _text, GraphQLInt: _int, GraphQLFloat: _float}
AS_THEY_ARE: Mapping[Read, tuple[type, ...]] = {_text: (str,), _optional_text: (str, type(None))}
"""Which types of values a completion leaves as they are."""


def _list(item: Read | None) -> Read | None:
    def read(values: Any) -> Any:
        if not isinstance(values, (list, tuple)):
            raise NotPlainError
        return [item(value) for value in values]  # type: ignore[misc]  # None is not given out.

    return None if item is None else read
