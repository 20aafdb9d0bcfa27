"""Reset the counters of the rate limits between tests."""

import secrets

from django.conf import settings
from django.core.cache import caches


def reset_rate_limits() -> None:
    """Start new counters, for this thread and for those that start later: Redis outlives a test's transaction."""
    prefix = f"test-{secrets.token_hex(8)}"
    settings.CACHES["limits"]["KEY_PREFIX"] = prefix
    caches["limits"].key_prefix = prefix
