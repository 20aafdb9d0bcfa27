"""Cookies that keep a value for one page until the visitor comes back to it; scripts cannot read them."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


@dataclass(frozen=True)
class PageCookie:
    """Sent to the pages below ``path`` alone, for ``lifetime``."""

    base_name: str
    path: str
    lifetime: timedelta

    def read(self, request: HttpRequest) -> str:
        """Return the value; empty without one."""
        return request.COOKIES.get(self._name(), "")

    def set(self, response: HttpResponseBase, value: str) -> None:
        response.set_cookie(
            self._name(),
            value,
            max_age=self.lifetime,
            path=self.path,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",  # a provider's redirect comes from another site
        )

    def clear(self, response: HttpResponseBase) -> None:
        response.delete_cookie(self._name(), path=self.path)

    def _name(self) -> str:
        return f"__Secure-{self.base_name}" if settings.SESSION_COOKIE_SECURE else self.base_name
