"""What the API answers when it cannot answer.

ApiError                   each with the HTTP status that carries it
├── RequestInvalid         400  the body is no JSON, no GraphQL request, or a form without its fields
├── QueryRejected          400  the GraphQL document is too big, too deep, or not one query
├── ArgumentInvalid        400  an argument is out of its range
├── ImageInvalid           400  a picture, to search by or of a product, cannot be read
├── IndexChanged           409  a cursor belongs to an index that is not searched any more
├── Forbidden              403  a valid token, but not of a role that may do this
├── NotFound               404  no such path, product or picture
├── BodyTooLarge           413
├── TooManyAttempts        429  logins
├── LoginUnavailable       503  attempts cannot be counted, so none is let through
├── SearchNotReady         503  the model is loading, or no index is live
└── Unavailable            503  a part behind the API does not answer
"""

from __future__ import annotations

from typing import ClassVar

from core.errors import TejidoError
from security.errors import Unauthenticated


class ApiError(TejidoError):
    """The request cannot be answered, and the caller may know why."""

    code = "api.error"
    status: ClassVar[int] = 500


class RequestInvalid(ApiError):
    """The body of the request cannot be read."""

    code = "api.request_invalid"
    status = 400


class QueryRejected(ApiError):
    """The GraphQL document breaks a limit."""

    code = "api.query_rejected"
    status = 400


class ArgumentInvalid(ApiError):
    """An argument is out of its range or cannot be read."""

    code = "api.argument_invalid"
    status = 400


class ImageInvalid(ApiError):
    """A picture, to search by or of a product, cannot be read."""

    code = "api.image_invalid"
    status = 400


class IndexChanged(ApiError):
    """The cursor belongs to an index that is not searched any more."""

    code = "api.index_changed"
    status = 409

    def __init__(self) -> None:
        super().__init__("The index has changed since.", hint="Search again from the first page.")


class Forbidden(ApiError):
    """The token is valid, but its role may not do this."""

    code = "api.forbidden"
    status = 403


class NotFound(ApiError):
    """There is nothing under this path or id."""

    code = "api.not_found"
    status = 404


class BodyTooLarge(ApiError):
    """The request's body is larger than this path accepts."""

    code = "api.body_too_large"
    status = 413


class TooManyAttempts(ApiError):
    """Too many logins were tried for this user or from this address."""

    code = "api.too_many_attempts"
    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many logins were tried.", hint=f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class LoginUnavailable(ApiError):
    """Login attempts cannot be counted, so none is let through."""

    code = "api.login_unavailable"
    status = 503


class SearchNotReady(ApiError):
    """Search has no model or no index yet."""

    code = "api.search_not_ready"
    status = 503


class Unavailable(ApiError):
    """A part behind the API does not answer."""

    code = "api.unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__("A part of the service does not answer.", hint="Try again; GET /readyz says which part.")


def public_error(error: TejidoError) -> ApiError | Unauthenticated:
    """What a caller may know of ``error``.

    The allow-list: the API's own errors and the refusal of a token. Messages of other parts may name hosts, buckets
    and paths, so they stay in the log.
    """
    return error if isinstance(error, ApiError | Unauthenticated) else Unavailable()


def http_status(error: TejidoError) -> int:
    """The HTTP status that carries ``error``."""
    if isinstance(error, Unauthenticated):
        return 401
    return error.status if isinstance(error, ApiError) else Unavailable.status
