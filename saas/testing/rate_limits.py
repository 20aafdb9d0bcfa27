"""The counters of the rate limits."""

import secrets

from django.conf import settings
from django.core.cache import caches


def reset_rate_limits() -> None:
    """Count anew, in this thread and in those that start from now on: Redis outlives a test's transaction."""
    prefix = f"test-{secrets.token_hex(8)}"
    settings.CACHES["limits"]["KEY_PREFIX"] = prefix
    caches["limits"].key_prefix = prefix
