"""The cookie between the two steps of a login on pages: it holds what an app gets as ``mfa_token``, where no script reads it."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from saas.accounts.sessions.logins import PENDING_MFA_LIFETIME, Login, PendingMfa

PATH = "/login"


def read_pending_login(request: HttpRequest) -> str:
    """Return the token; empty without one."""
    return request.COOKIES.get(_name(), "")


def remember_pending_login(response: HttpResponseBase, login: Login | PendingMfa) -> None:
    """Set the cookie where the second step follows; else remove that of an earlier login."""
    if not isinstance(login, PendingMfa):
        return clear_pending_login(response)
    response.set_cookie(
        _name(),
        login.mfa_token,
        max_age=PENDING_MFA_LIFETIME,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # a provider's redirect comes from another site
    )
    return None


def clear_pending_login(response: HttpResponseBase) -> None:
    response.delete_cookie(_name(), path=PATH)


def _name() -> str:
    return "__Secure-saas_pending_login" if settings.SESSION_COOKIE_SECURE else "saas_pending_login"
