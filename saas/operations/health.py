"""Health modules: what ``GET /api/health/module/<name>`` checks, and those that belong to no app of their own."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core import checks
from django.core.cache import caches

from saas.ids import new_id

_REQUIRED = ("SECRET_KEY", "AUTH_PEPPER", "SESSION_SECRET", "JWT_ISSUER", "DATABASES", "CACHES", "CELERY_BROKER_URL")
_PROBE_SECONDS = 10


@dataclass(frozen=True)
class Module:
    """``check`` exercises the module and raises if it does not work. ``features`` are words for people, never settings."""

    name: str
    features: tuple[str, ...]
    check: Callable[[], None]


def _rate_limiting() -> None:
    """The counter of the rate limits counts."""
    counter, key = caches["limits"], new_id("probe")
    counter.add(key, 0, timeout=_PROBE_SECONDS)
    counter.incr(key)
    if counter.incr(key) != 2:
        raise RuntimeError("the counter lost a count")
    counter.delete(key)


def _settings() -> None:
    """Required settings are set, and Django's checks of caches and security find no error."""
    missing = [name for name in _REQUIRED if not getattr(settings, name)]
    errors = [found for found in checks.run_checks(tags=["caches", "security"]) if found.is_serious()]
    if missing or errors:
        raise RuntimeError(f"settings are not right: {missing + [error.id for error in errors]}")


RATE_LIMITING = Module("rate-limiting", ("per-address", "per-user", "retry-after"), _rate_limiting)
SETTINGS = Module("settings", ("typed-environment", "checked-at-start"), _settings)
