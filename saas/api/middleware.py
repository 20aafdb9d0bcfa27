"""Middleware of every service: request context, hosts, origins, input limits, security headers."""

import logging
import re
import time
from collections.abc import Callable
from io import BytesIO
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.utils import translation
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

from saas import request_context
from saas.api.accounts import device_cookie
from saas.api.client_address import client_address, forwarded_scheme, is_allowed_origin
from saas.api.problems import Problem

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
_AGENT_LENGTH = 300
_PROBES = ("/health", "/api/health", "/metrics")
_ANY_HOST = {"/health", "/health/ready"}
_IMPERSONATION = "/impersonation"
_INTERNALS = ("/docs", "/redoc", "/openapi.json", "/metrics", "/api/health/module")

_API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


PREPARED_RESPONSE = "saas.prepared_response"  # in a request's environment; a client cannot set it


class PreparedResponseMiddleware:
    """Return the response that the server prepared for a request it refused (``saas.server.rsgi_adapter``), so that refusals
    are logged, counted and get the same headers as every other response."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        prepare: Callable[[], HttpResponseBase] | None = request.META.get(PREPARED_RESPONSE)
        return prepare() if prepare else self.get_response(request)


class TrustedProxyMiddleware:
    """Keep in ``X-Forwarded-Proto``, where Django looks, only the scheme that a trusted proxy saw. (``client_address`` does
    the same for the address.)"""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        scheme = forwarded_scheme(request)
        request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        if scheme:
            request.META["HTTP_X_FORWARDED_PROTO"] = scheme
        return self.get_response(request)


class RequestContextMiddleware:
    """Give the request an id (the caller's if it is well-formed), set the context of logs, tasks and audit events, and log
    the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        context = new_request_context(
            request.META.get("HTTP_X_REQUEST_ID", ""), client_address(request), request.META.get("HTTP_USER_AGENT", "")
        )._replace(
            device=device_cookie.read_device_cookie(request), language=translation.get_language_from_request(request)
        )
        with request_context.use_context(context):
            started = time.perf_counter()
            response = self.get_response(request)
            device_cookie.set_device_cookie(request, response)
            _log(request, response, (time.perf_counter() - started) * 1000)
        response.headers["X-Request-ID"] = context.request_id
        return response


def new_request_context(claimed_id: str, address: str, agent: str) -> request_context.Context:
    is_valid = claimed_id and _REQUEST_ID.fullmatch(claimed_id)
    request_id = claimed_id if is_valid else request_context.new_request_id()
    return request_context.Context(request_id, address, agent.replace("\x00", "")[:_AGENT_LENGTH])


def _log(request: HttpRequest, response: HttpResponseBase, milliseconds: float) -> None:
    is_probe = request.path_info.startswith(_PROBES) and response.status_code < 400
    facts = {"method": request.method, "path": request.path_info, "status": response.status_code}
    logger.log(
        logging.DEBUG if is_probe else logging.INFO, "request", extra={**facts, "milliseconds": round(milliseconds, 1)}
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django logs it again, outside the context


class SecurityHeadersMiddleware:
    """Set security headers. JSON loads nothing and is not cached; pages load only from their own origin."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        headers = response.headers
        headers.setdefault("Content-Security-Policy", _PAGE_POLICY if is_page else _API_POLICY)
        # Chromium sends "Origin: null" under no-referrer, and Django's CSRF check would then refuse our own forms.
        headers.setdefault("Referrer-Policy", "same-origin" if is_page else "no-referrer")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("X-Frame-Options", "DENY")
        if settings.SECURE_HSTS_SECONDS:  # also for http: browsers ignore it there
            headers.setdefault(
                "Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
            )
        if not getattr(response, "streaming", False):
            headers.setdefault("Cache-Control", "no-store")
        return response


class HostMiddleware(CommonMiddleware):
    """Refuse an unknown host, except for health probes, which address a container by its IP."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path_info in _ANY_HOST and request.method in {"GET", "HEAD"}:
            return None
        return super().process_request(request)


class InputGuardMiddleware:
    """Refuse what no view can use: a body over the limit (413), a NUL or broken UTF-8 in the path or query (400)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._refusal(request) or self.get_response(request)

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if request.META.get("RAW_URI", "/")[:1] not in {"/", "*"}:  # an absolute URI, whose host may differ from Host
            return Problem(400, detail="Send the path only.")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            return Problem(400, detail="Content-Length is not a number.")
        if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE or not _has_gathered_pieces(request):
            return Problem(413)
        if not _is_clean(request.path_info.encode("utf-8", "surrogateescape")):
            return Problem(400, detail="The path holds a character that is not allowed.")
        query = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
        if not _is_clean(unquote_to_bytes(query)):
            return Problem(400, detail="The query holds a character that is not allowed.")
        return None


def _has_gathered_pieces(request: HttpRequest) -> bool:
    """Read a chunked body into memory; return whether it is within the limit."""
    if "chunked" not in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return True
    if not request.META.get("wsgi.input_terminated"):  # the development server does not mark its end
        return True
    raw = request.META["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    request.META["wsgi.input"] = request._stream = BytesIO(raw)
    request.META["CONTENT_LENGTH"] = str(len(raw))
    return len(raw) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _is_clean(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\x00" not in raw


class InternalsMiddleware:
    """Hide documentation, schema, metrics and module checks in production: 404.

    ``OPEN_INTERNALS`` shows them to everyone, ``INTERNALS_TOKEN`` to callers who send it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.OPEN_INTERNALS or not request.path_info.startswith(_INTERNALS):
            return self.get_response(request)
        if is_internals_token(request.META.get("HTTP_AUTHORIZATION", "")):
            return self.get_response(request)
        return Problem(404)


def is_internals_token(authorization: str) -> bool:
    """Whether a header ``Authorization`` carries ``INTERNALS_TOKEN``."""
    scheme, _, token = authorization.partition(" ")
    accepted = filter(None, (settings.INTERNALS_TOKEN, *settings.INTERNALS_TOKEN_FALLBACKS))
    return scheme.lower() == "bearer" and any(constant_time_compare(token, expected) for expected in accepted)


class OriginCheckMiddleware:
    """Refuse writes that a browser sends from pages of other sites.

    ``Origin`` decides, else ``Sec-Fetch-Site``; a request without either comes from no browser. One address of Product is
    exempt: the form that opens the impersonated view stands on Admin ops, and its one-time code is the proof (decision 150).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method not in _SAFE_METHODS and not self._may_write(request):
            return Problem(403, code="origin_not_allowed", title="Requests from this site are not accepted.")
        return self.get_response(request)

    def _may_write(self, request: HttpRequest) -> bool:
        if settings.SERVICE == "product" and request.path_info == _IMPERSONATION:
            return True
        if origin := request.META.get("HTTP_ORIGIN"):
            return is_allowed_origin(origin)
        return request.META.get("HTTP_SEC_FETCH_SITE") != "cross-site"


class SessionUserMiddleware(AuthenticationMiddleware):
    """Take ``request.user`` from the session row, which is loaded with its user: no second query."""

    def process_request(self, request: HttpRequest) -> None:
        def session_user() -> object:
            row = request.session.live_session()  # type: ignore[attr-defined]
            return row.user if row else AnonymousUser()

        request.user = SimpleLazyObject(session_user)  # type: ignore[assignment]
