"""Errors as callers see them: those on the allow-list, with code and hint; anything else only as unexpected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from api.context import QueryContext
from api.errors import TooManySearches, public_error
from core.errors import TejidoError

log = structlog.get_logger()

UNEXPECTED = {"code": "api.unexpected", "hint": "The log of the API says more."}
INVALID = {"code": "api.query_invalid", "hint": "See /docs for the fields and arguments."}


class QuietSchema(strawberry.Schema):
    """Leaves the log to ``ShapedErrors``.

    Strawberry writes every error down as it is, with the query's own lines and the values of variables: whoever asks
    could forge lines of the log, and what people look for would stand in it.
    """

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing."""


class ShapedErrors(SchemaExtension):
    """Replaces every error of a result by the one that a caller may see."""

    def on_operation(self) -> Iterator[None]:
        """After everything else has run, whatever raised."""
        yield
        result = self.execution_context.result
        errors = getattr(result, "errors", None)
        if errors:
            result.errors = [shaped(error) for error in errors]  # type: ignore[union-attr]
            context: QueryContext = self.execution_context.context
            for error in result.errors:  # type: ignore[union-attr]
                context.services.metrics.error(str((error.extensions or INVALID)["code"]))


def shaped(error: GraphQLError) -> GraphQLError:
    """``error`` with a code and a hint, and with nothing that came out of a resolver by accident."""
    cause = error.original_error
    if isinstance(cause, TejidoError):
        return _of_ours(error, cause)
    if cause is None or isinstance(cause, GraphQLError):
        # Syntax, validation, coercion and permissions: about the caller's own query.
        return _like(error, error.message, {**INVALID, **(error.extensions or {})})
    log.error("resolver failed", path=error.path, exc_info=cause)
    return _like(error, "Unexpected error.", UNEXPECTED)


def _of_ours(error: GraphQLError, cause: TejidoError) -> GraphQLError:
    shown = public_error(cause)
    if shown is not cause:
        log.error("a part failed", path=error.path, code=cause.code, error=str(cause))
    extensions: dict[str, Any] = {"code": shown.code, "hint": shown.hint}
    if isinstance(shown, TooManySearches):
        extensions["retryAfter"] = shown.retry_after_s
    return _like(error, shown.message, extensions)


def _like(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message, nodes=error.nodes, source=error.source, positions=error.positions, path=error.path,
        extensions=extensions,
    )  # fmt: skip
