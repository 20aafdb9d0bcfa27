"""Messages of pages (``django.contrib.messages``), in a cookie whose name says in production that no other host has set it."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class HostCookieStorage(CookieStorage):
    """``__Secure-`` with ``SESSION_COOKIE_DOMAIN``: the cookie has that domain then, and browsers refuse ``__Host-`` with one."""

    @property
    def cookie_name(self) -> str:  # type: ignore[override]
        if settings.COOKIE_PREFIX and settings.SESSION_COOKIE_DOMAIN:
            return "__Secure-messages"
        return f"{settings.COOKIE_PREFIX}messages"


class MessageStorage(FallbackStorage):
    storage_classes = (HostCookieStorage, SessionStorage)
