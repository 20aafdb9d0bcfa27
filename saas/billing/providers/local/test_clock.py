"""The local provider's test clock: it can be advanced, to see a year of renewals in a second."""

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
    """Run every step that is due now. Returns how many there were."""
    return lifecycle.run_due_steps(clock.now())


def advance_clock(by: timedelta) -> int:
    """Advance the clock and run what is then due; the events wait for delivery. Returns the number of steps."""
    if not settings.USES_LOCAL_PROVIDER:
        raise NoLocalClock
    _set_ahead(by)
    return run_due_steps()


def advance_and_process(by: timedelta) -> int:
    """Advance the clock and process the events in this process. Returns the number of steps."""
    steps = advance_clock(by)
    event_delivery.process_undelivered_events()
    return steps


@transaction.atomic
def _set_ahead(by: timedelta) -> None:
    LocalClock.objects.get_or_create(pk=1)
    LocalClock.objects.filter(pk=1).update(ahead_seconds=F("ahead_seconds") + int(by.total_seconds()))
