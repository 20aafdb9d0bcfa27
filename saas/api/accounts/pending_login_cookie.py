"""The cookie between the two steps of a login on pages: it holds what an app gets as ``mfa_token``, where no script reads it."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from saas.accounts.sessions.logins import PENDING_MFA_LIFETIME

PATH = "/login"


def read_pending_login(request: HttpRequest) -> str:
    """Return the token; empty without one."""
    return request.COOKIES.get(_name(), "")


def set_pending_login(response: HttpResponseBase, mfa_token: str) -> None:
    response.set_cookie(
        _name(),
        mfa_token,
        max_age=PENDING_MFA_LIFETIME,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # a provider's redirect comes from another site
    )


def clear_pending_login(response: HttpResponseBase) -> None:
    response.delete_cookie(_name(), path=PATH)


def _name() -> str:
    return "__Secure-saas_pending_login" if settings.SESSION_COOKIE_SECURE else "saas_pending_login"
