"""Render every error of DRF, Django and the domain as a problem document (RFC 9457)."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions

from saas import request_context
from saas.database.postgres import is_database_unavailable
from saas.errors import DomainError

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 5

CODES_AND_TITLES = {
    400: ("malformed", "The request could not be understood."),
    401: ("not_authenticated", "Credentials are missing or not valid."),
    403: ("forbidden", "You may not do this."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "This method is not allowed here."),
    406: ("not_acceptable", "This service answers in JSON."),
    408: ("timed_out", "The request took too long to arrive."),
    409: ("conflict", "A rule of this system does not allow this."),
    410: ("gone", "This is not there any more."),
    413: ("too_large", "The body is too large."),
    414: ("address_too_long", "The address is too long."),
    415: ("unsupported_media_type", "Send the body as application/json in UTF-8."),
    417: ("expectation_failed", "This cannot be expected here."),
    422: ("invalid", "Some fields are not valid."),
    429: ("too_many_requests", "Too many requests."),
    431: ("headers_too_large", "The headers are too large."),
    500: ("internal_error", "Something went wrong on our side."),
    502: ("bad_gateway", "Another system did not answer as it should."),
    503: ("unavailable", "A part of the system is away for a moment."),
}


class Problem(JsonResponse):
    """An ``application/problem+json`` response."""

    def __init__(
        self,
        status: int,
        *,
        code: str = "",
        title: str = "",
        detail: str = "",
        errors: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        default_code, default_title = CODES_AND_TITLES[status]
        self.code, self.title = code or default_code, title or default_title
        self.request_id = request_context.current().request_id
        body: dict[str, Any] = {
            "type": f"urn:saas:problem:{self.code}",
            "title": self.title,
            "status": status,
            "detail": detail or self.title,
            "code": self.code,
            "request_id": self.request_id,
        }
        if errors:
            body["errors"] = errors
        super().__init__(body, status=status, content_type="application/problem+json", headers=headers)
        self.headers["Content-Length"] = str(
            len(self.content)
        )  # no middleware is left to do it for a host that is not ours


def exception_handler(error: Exception, view_context: Mapping[str, Any]) -> Problem | None:
    """DRF's exception handler. ``None`` makes the exception a 500, logged once by Django."""
    if isinstance(error, DomainError):
        return problem_from_domain_error(error)
    if isinstance(error, exceptions.ValidationError):
        return Problem(422, errors=dict(flatten_errors(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _from_api(error)
    return problem_from_exception(error)


def problem_from_domain_error(error: DomainError) -> Problem:
    """The problem document of a refusal, with ``Retry-After`` where it says so."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return Problem(
        error.status, code=error.code, title=error.title, detail=error.detail, errors=error.errors, headers=headers
    )


def problem_from_exception(error: Exception) -> Problem | None:
    """The problem document of what Django and the database raise; ``None`` for an unexpected exception."""
    match error:
        case Http404():
            return Problem(404)
        case PermissionDenied():
            return Problem(403)
        case RequestDataTooBig():
            return Problem(413)
        case _ if is_database_unavailable(error):
            logger.error("database_unavailable", exc_info=error)
            return Problem(503, headers={"Retry-After": str(DATABASE_RETRY_SECONDS)})
        case DataError():
            return Problem(422, detail="A value does not fit.")
    return None


def _from_api(error: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    codes = error.get_codes()
    code = codes if isinstance(codes, str) and codes != type(error).default_code else ""
    detail = "" if isinstance(error.detail, (list, dict)) else str(error.detail)
    return Problem(error.status_code, code=code, detail=detail, headers=headers)


def flatten_errors(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """``{"a": {"b": ["x"]}}`` as ``("a.b", ["x"])``."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from flatten_errors(value, f"{path}.{key}" if path else str(key))
    elif detail and isinstance(detail, list) and isinstance(detail[0], (dict, list)):
        for index, value in enumerate(detail):
            yield from flatten_errors(value, f"{path}.{index}" if path else str(index))
    elif detail:
        yield path or "body", [str(item) for item in (detail if isinstance(detail, list) else [detail])]


# ── Django's own error views (handler400 … handler500 of every URL conf) ─────────────────────────────────────────────


def bad_request(request: HttpRequest, exception: Exception) -> Problem:
    """Suspicious operations: an unknown host, too many fields, a tampered cookie."""
    return problem_from_exception(exception) or Problem(400)


def forbidden(request: HttpRequest, exception: Exception) -> Problem:
    return Problem(403)


def not_found(request: HttpRequest, exception: Exception) -> Problem:
    return Problem(404)


def server_error(request: HttpRequest) -> Problem:
    """An unexpected error, or a database that became unavailable outside our views (middleware, Django's admin)."""
    error = sys.exception()
    return (problem_from_exception(error) if isinstance(error, Exception) else None) or Problem(500)


def csrf_failure(request: HttpRequest, reason: str = "") -> Problem:
    """The refusal of a form, or of another write by cookie, without a valid CSRF token."""
    return Problem(403, code="csrf_failed", title="The CSRF token is missing or wrong.", detail=reason)
