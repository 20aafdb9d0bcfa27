"""``GET /metrics`` in Prometheus' text format, of this process or of all workers of its server (``saas.server``)."""

import time
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest

from saas.api.problems import Problem
from saas.operations.metrics import database_collectors
from saas.operations.multiprocess_metrics.reading import shared_registry

REQUESTS = Counter("http_requests", "Requests answered.", ["method", "route", "status"])
DURATION = Histogram("http_request_seconds", "Time to answer.", ["method", "route"])
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class MetricsMiddleware:
    """Count and time every request under its route, never its path: each id would make a series."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        route = request.resolver_match.route if request.resolver_match else "unmatched"
        method = request.method if request.method in _METHODS else "other"
        record_response(method or "other", route, response.status_code, time.perf_counter() - started)
        return response


def record_response(method: str, route: str, status: int, seconds: float) -> None:
    requests, duration = _children(method, route, status)
    requests.inc()
    duration.observe(seconds)


@lru_cache(maxsize=4096)
def _children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Cached: the look-up by labels takes longer than counting."""
    return REQUESTS.labels(method, route, status), DURATION.labels(method, route)


@csrf_exempt  # it writes nothing; a POST is refused as a method, not as a forgery
def metrics(request: HttpRequest) -> HttpResponse:
    if request.method not in {"GET", "HEAD"}:
        return Problem(405, headers={"Allow": "GET, HEAD"})
    return HttpResponse(render_metrics(), content_type=CONTENT_TYPE_LATEST)


def render_metrics() -> bytes:
    """Return the metrics of all workers of this server, and of the database."""
    registry = shared_registry()
    if registry is not REGISTRY:
        for collector in database_collectors():
            registry.register(collector)
    return generate_latest(registry)
