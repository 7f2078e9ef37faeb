"""From the text of an operation to its answer: read, validated, permitted, executed, its errors made fit to be shown.

Strawberry can do this too, but builds contexts and stacks of extensions anew for each request, which takes a good part
of the time in which twenty products are found. Here it is always the same steps; values are made by graphql-core.
"""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationType,
    execute,
    get_operation_ast,
)

from api.context import QueryContext
from api.errors import RequestInvalid
from api.schema.documents import MAX_ERRORS, Document, Read
from api.schema.masking import shown
from api.schema.permitted import check_permitted
from api.schema.plain_values import PlainValues
from core.errors import TejidoError

ANSWERED = (OperationType.QUERY, OperationType.MUTATION)


class OperationExecutor:
    """Answers the operations of a schema, and is the only way to them.

    Args:
        schema: what can be asked.
        read: parses and validates documents; of `reader_of`.
    """

    def __init__(self, schema: strawberry.Schema, read: Read) -> None:
        self._schema: GraphQLSchema = schema._schema
        self._read = read

    async def answer(
        self, text: str, context: QueryContext, *, variables: dict[str, Any] | None = None, name: str | None = None
    ) -> ExecutionResult:
        """The answer to one operation; what its resolvers raise stands in it as errors.

        Args:
            text: a document that `api.guards` let pass.
            context: who asks, and whom the resolvers ask.
            variables: by name.
            name: of the operation, where the document has several.

        Raises:
            RequestInvalid: the document has no query or mutation of that name.
        """
        try:
            document = self._read(self._schema, text)
        except GraphQLSyntaxError as error:
            return shown(ExecutionResult(None, [error]), context)
        return shown(await self._executed(document, context, variables, name), context)

    async def _executed(
        self, document: Document, context: QueryContext, variables: dict[str, Any] | None, name: str | None
    ) -> ExecutionResult:
        operation = get_operation_ast(document.node, name)
        if operation is None or operation.operation not in ANSWERED:
            raise RequestInvalid("The body names no query and no mutation.", hint="Send one query or one mutation.")
        if document.errors:
            return ExecutionResult(None, list(document.errors))
        try:
            check_permitted(document.node, self._schema, context.identity)
        except TejidoError as error:
            return ExecutionResult(None, [GraphQLError(error.message, original_error=error)])
        result = execute(
            self._schema,
            document.node,
            context_value=context,
            variable_values=variables,
            operation_name=name,
            executor_class=PlainValues,
            max_coercion_errors=MAX_ERRORS,
        )
        return result if isinstance(result, ExecutionResult) else await result
