"""The cookie of the impersonated view: Strict, of this host alone, read by Product's pages and by no API."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


def read_view_cookie(request: HttpRequest) -> str:
    return request.COOKIES.get(_name(), "")


def set_view_cookie(response: HttpResponseBase, key: str, *, seconds: int) -> None:
    response.set_cookie(
        _name(), key, max_age=seconds, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Strict"
    )


def clear_view_cookie(response: HttpResponseBase) -> None:
    response.delete_cookie(_name(), samesite="Strict")


def _name() -> str:
    return "__Host-saas_view" if settings.SESSION_COOKIE_SECURE else "saas_view"
