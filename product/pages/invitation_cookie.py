"""The cookie that keeps an invitation's token in the browser, for the way back from a login.

The way through a provider is stored, and no token that makes an account may be read there.
"""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

LIFETIME_SECONDS = 30 * 60


def read_kept_token(request: HttpRequest) -> str:
    """Return the token; empty without one."""
    return request.COOKIES.get(_name(), "")


def keep_token(response: HttpResponseBase, token: str, *, path: str) -> None:
    response.set_cookie(
        _name(),
        token,
        max_age=LIFETIME_SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # a provider's redirect comes from another site
    )


def _name() -> str:
    return "__Secure-saas_invitation" if settings.SESSION_COOKIE_SECURE else "saas_invitation"
