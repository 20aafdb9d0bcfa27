"""Lists show what a person has just changed: for a while they are read from the primary for them, not from a replica
(``DATABASE_REPLICA_URL``), which may not have it yet."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

SECONDS = 30  # more than a replica lags behind, unless it is broken
COOKIE = f"{settings.COOKIE_PREFIX}saas_admin_changed"

View = Callable[..., HttpResponseBase]


def has_just_changed(request: HttpRequest) -> bool:
    return COOKIE in request.COOKIES


def remember_changes(view: View) -> View:
    """Set the cookie with each form that was not refused."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if request.method == "POST" and response.status_code < 400:
            response.set_cookie(
                COOKIE, "1", max_age=SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Strict"
            )
        return response

    return wrapped
