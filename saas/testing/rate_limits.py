"""Use up rate limits, and reset their counters between tests."""

import secrets

from django.conf import settings
from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from saas.api.rate_limits import RateLimit, count_request

HERE = "127.0.0.1/32"  # the key of every test client under a limit by address
ANONYMOUS_REQUEST = Request(APIRequestFactory().get("/"))


def reset_rate_limits() -> None:
    """Start new counters, for this thread and for those that start later: Redis outlives a test's transaction."""
    prefix = f"test-{secrets.token_hex(8)}"
    settings.CACHES["limits"]["KEY_PREFIX"] = prefix
    caches["limits"].key_prefix = prefix


def use_up(limit: RateLimit, *, except_for: int = 0) -> None:
    """Count all requests that ``limit`` allows but the last ``except_for``. A limit by address counts this machine."""
    for _ in range(limit.scaled_count - except_for):
        count_request(limit, ANONYMOUS_REQUEST)
