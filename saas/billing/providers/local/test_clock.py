"""Moving the local provider's time: by itself, and ahead by hand, to see a year of renewals in a second."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from saas.billing import clock
from saas.billing.models import LocalClock
from saas.billing.providers.local import event_delivery, lifecycle
from saas.errors import DomainError


class NoLocalClock(DomainError):
    code, title = "no_local_clock", "Stripe's time cannot be moved; the clock belongs to the local provider."  # 409


def run_due_steps() -> int:
    """Let the local provider's subscriptions do what is due by now; tells how many steps that were."""
    return lifecycle.run_due_steps(clock.now())


def advance_clock(by: timedelta) -> int:
    """Move the clock ahead; what then happens waits to be delivered. Tells how many steps that were."""
    if not settings.USES_LOCAL_PROVIDER:
        raise NoLocalClock
    _set_ahead(by)
    return run_due_steps()


def advance_and_process(by: timedelta) -> int:
    """Move the clock ahead and let everything take effect here and now."""
    steps = advance_clock(by)
    event_delivery.process_undelivered_events()
    return steps


@transaction.atomic
def _set_ahead(by: timedelta) -> None:
    LocalClock.objects.get_or_create(pk=1)
    LocalClock.objects.filter(pk=1).update(ahead_seconds=F("ahead_seconds") + int(by.total_seconds()))
