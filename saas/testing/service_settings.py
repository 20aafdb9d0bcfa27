"""The settings in which the four services differ, in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def service_settings(service: str) -> Iterator[None]:
    """Run the block under the settings in which the services differ.

    Without Django's ``setting_changed`` signal, which would compile every URL pattern again for each request.
    """
    own = {
        "SERVICE": service,
        "ROOT_URLCONF": f"{service}.urls",
        "SESSION_COOKIE_NAME": (
            settings.CUSTOMER_SESSION_COOKIE_NAME
            if service in {"product", "parity"}
            else settings.STAFF_SESSION_COOKIE_NAME
        ),
        "SESSION_COOKIE_SAMESITE": "Strict" if service == "admin_ops" else "Lax",
        "CSRF_COOKIE_NAME": f"{settings.COOKIE_PREFIX}{service}_csrf",
    }
    before = {name: getattr(settings, name) for name in own}
    for name, value in own.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
