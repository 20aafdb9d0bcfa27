"""The cookie of a known device (``saas.accounts.sessions.known_devices``).

It is separate from the session cookie and lasts longer: 180 days from the last login, also after logging out.
"""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from saas.accounts.models import User
from saas.accounts.sessions import known_devices

_ON_REQUEST = "_device_cookie"


def read_device_cookie(request: HttpRequest) -> str:
    """Return the value of the client's cookie; empty for a client without cookies."""
    return request.COOKIES.get(cookie_name(), "") if "HTTP_COOKIE" in request.META else ""


def remember_device(request: HttpRequest, user: User) -> None:
    """Make this device known for ``user``: the response to this request sets the cookie."""
    setattr(request, _ON_REQUEST, known_devices.device_cookie_value(user))


def set_device_cookie(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the cookie if a view called ``remember_device``."""
    if cookie := getattr(request, _ON_REQUEST, ""):
        response.set_cookie(
            cookie_name(),
            cookie,
            max_age=known_devices.COOKIE_LIFETIME,
            domain=_domain(),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def cookie_name() -> str:
    """Staff and customers have different cookies: a browser may be used for both."""
    name = "saas_admin_device" if settings.SERVICE == "admin_ops" else "saas_device"
    return f"__Host-{name}" if settings.SESSION_COOKIE_SECURE and not _domain() else name


def _domain() -> str | None:
    """The domain of the customers' session cookie; none for staff."""
    return None if settings.SERVICE == "admin_ops" else settings.SESSION_COOKIE_DOMAIN
