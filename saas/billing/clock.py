"""Billing's clock: the system's, or the local provider's test clock."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from saas.billing.models import LocalClock


def now() -> datetime:
    """The time by which subscriptions run. With Stripe it is the system's, and costs no query."""
    if not settings.USES_LOCAL_PROVIDER:
        return timezone.now()
    ahead = LocalClock.objects.values_list("ahead_seconds", flat=True).first() or 0
    return timezone.now() + timedelta(seconds=ahead)
