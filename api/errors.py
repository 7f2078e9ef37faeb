"""What the API answers when it cannot answer.

ApiError                   each with the HTTP status that carries it
├── RequestInvalid         400  the body is no JSON, no GraphQL request, or a form without its fields
├── QueryRejected          400  the GraphQL document is too big, too deep, or not one query
├── ArgumentInvalid        400  an argument is out of its range
├── ImageInvalid           400  a picture, to search by or of a product, cannot be read
├── IndexChanged           409  a cursor belongs to an index that is not searched any more
├── NotFound               404  no such path, product or picture
├── BodyTooLarge           413
├── TooManyAttempts        429  logins
├── TooManyRefreshes       429  renewals and ends of sessions
├── TooManySearches        429  searches of one user
├── LoginUnavailable       503  attempts cannot be counted, so none is let through
├── SessionsUnknown        503  which sessions are over is not known, so no token of one is taken
├── SearchNotReady         503  the model is loading, or no index is live
├── TrackingUnavailable    503  MLflow does not answer, so nothing can be said of models
├── Busy                   503  something is done already that can only be done once at a time
└── Unavailable            503  a part behind the API does not answer
"""

from __future__ import annotations

from typing import ClassVar

from core.errors import TejidoError
from security.errors import ArtifactRefused, Forbidden, Unauthenticated
from server.errors import ModelDamaged, ModelMissing, RollbackRefused, TrackingUnreachable

OF_MODELS = (ArtifactRefused, ModelDamaged, ModelMissing, RollbackRefused)
"""Errors of the coordinator that operators are shown as they are: they name versions and hashes, and no host."""


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


class TooManyRefreshes(ApiError):
    """Too many sessions were renewed or ended from this address, or with this token."""

    code = "api.too_many_refreshes"
    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many sessions were renewed.", hint=f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class TooManySearches(ApiError):
    """This user has searched too often within a minute."""

    code = "api.too_many_searches"
    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many searches within a minute.", hint=f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class LoginUnavailable(ApiError):
    """Login attempts cannot be counted, so none is let through."""

    code = "api.login_unavailable"
    status = 503


class SessionsUnknown(ApiError):
    """PostgreSQL could not be asked for some seconds which sessions are over, so no token of a session is taken."""

    code = "api.sessions_unknown"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "It is not known at the moment which sessions are over.",
            hint="Try again; GET /readyz says which part is missing.",
        )


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


class TrackingUnavailable(ApiError):
    """MLflow does not answer, so nothing can be said of models, and none promoted."""

    code = "api.tracking_unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__("The registry of models does not answer.", hint="Try again; `tejido doctor` looks.")


class Busy(ApiError):
    """Something is being done that can only be done once at a time."""

    code = "api.busy"
    status = 503


def public_error(error: TejidoError) -> TejidoError:
    """What a caller may know of ``error``.

    The allow-list: the API's own errors, the refusal of a token, and what only speaks of model versions. Messages of
    other parts may name hosts, buckets and paths, so they stay in the log.
    """
    if isinstance(error, TrackingUnreachable):
        return TrackingUnavailable()
    return error if isinstance(error, (ApiError, Unauthenticated, Forbidden, *OF_MODELS)) else Unavailable()


def http_status(error: TejidoError) -> int:
    """The HTTP status that carries ``error``."""
    if isinstance(error, Unauthenticated):
        return 401
    if isinstance(error, Forbidden):
        return 403
    if isinstance(error, OF_MODELS):
        return 404 if isinstance(error, ModelMissing) else 409
    return error.status if isinstance(error, ApiError) else Unavailable.status
