"""Errors as callers see them: those on the allow-list, with code and hint; anything else only as unexpected."""

from __future__ import annotations

from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError

from api.context import QueryContext
from api.errors import TooManySearches, public_error
from core.errors import TejidoError

log = structlog.get_logger()

UNEXPECTED = {"code": "api.unexpected", "hint": "The log of the API says more."}
INVALID = {"code": "api.query_invalid", "hint": "See /docs for the fields and arguments."}


def shown(result: ExecutionResult, context: QueryContext) -> ExecutionResult:
    """``result`` with every error replaced by the one that a caller may see; each is counted."""
    if not result.errors:
        return result
    errors = [shaped(error) for error in result.errors]
    for error in errors:
        context.services.metrics.error(str((error.extensions or INVALID)["code"]))
    return ExecutionResult(result.data, errors)


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
