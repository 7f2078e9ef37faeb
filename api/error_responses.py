"""Every error of the HTTP side in one shape: code, message, hint."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from python_multipart.exceptions import FormParserError
from starlette.exceptions import HTTPException

from api.context import services_of
from api.errors import (
    NotFound,
    RequestInvalid,
    TooManyAttempts,
    TooManyRefreshes,
    TooManySearches,
    http_status,
    public_error,
)
from core.errors import TejidoError
from security.errors import Unauthenticated

log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` in the one shape."""
    app.add_exception_handler(TejidoError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(FormParserError, _form)
    app.add_exception_handler(Exception, unexpected)


def _answer(request: Request, error: TejidoError, status: int | None = None) -> JSONResponse:
    services_of(request).metrics.error(error.code)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts | TooManyRefreshes | TooManySearches):
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(error.as_dict(), status_code=status or http_status(error), headers=headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, TejidoError):
        raise error
    shown = public_error(error)
    if isinstance(error, Unauthenticated):
        log.info("refused", path=request.url.path, reason=error.reason)
    elif shown is not error:
        log.error("a part failed", path=request.url.path, code=error.code, error=str(error))
    return _answer(request, shown)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    # FastAPI's own answer repeats the input, which may be a password.
    fields = error.errors() if isinstance(error, RequestValidationError) else []
    names = ", ".join(sorted({str(field["loc"][-1]) for field in fields}))
    return _answer(request, RequestInvalid(f"The request lacks or misstates: {names}.", hint="See /docs."))


async def _form(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    # Starlette answers 400 to a form that it cannot read, but not to one that its parser cannot.
    return _answer(request, RequestInvalid("The form cannot be read.", hint="Send multipart/form-data."))


async def _http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return _answer(request, NotFound(f"There is nothing at {request.url.path[:200]}.", hint="See /docs."))
    hint = "See /docs."
    response = _answer(request, RequestInvalid(f"{request.method} cannot be answered here.", hint=hint), status)
    response.headers.update(dict(getattr(error, "headers", None) or {}))
    return response


async def unexpected(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request on which something of ours broke: it says nothing of that, the log says all."""
    services_of(request).metrics.error("api.unexpected")
    log.error("request failed", path=request.url.path, exc_info=error)
    shape = {"code": "api.unexpected", "message": "Unexpected error.", "hint": "The log of the API says more."}
    return JSONResponse(shape, status_code=500)
