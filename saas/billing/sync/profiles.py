"""Sending changed addresses, names and billing details to the provider, which writes to its customers, too.

The row is the queue: a customer waits while what the provider was told differs from what their user, or their team's owner,
is called now, or is older than their billing details. The code that changes an account knows nothing of it.
"""

import logging
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from saas.background_tasks import for_a_while
from saas.billing import providers
from saas.billing.customers import apply_pending_events, billed_to_name, note_refused_tax_id
from saas.billing.models import BillingDetails, Customer
from saas.billing.providers import Gateway, TaxIdRefused
from saas.errors import DomainError

logger = logging.getLogger(__name__)

BATCH = 100
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(days=1)


def send_changed_profiles() -> int:
    """Send what has changed, of at most ``BATCH`` customers, as many as there is time for. Returns how many were sent."""
    gateway = providers.current_gateway()
    rows = Customer.objects.with_changed_profile(gateway.provider, timezone.now()).order_by("profile_due_at", "pk")
    return sum(_send_profile(row, gateway) for row in for_a_while(rows[:BATCH]))


def _send_profile(customer: Customer, gateway: Gateway) -> bool:
    email, name = customer.profile_email, customer.profile_name  # type: ignore[attr-defined]  # with_profile()
    mine = Customer.objects.filter(pk=customer.pk)
    details = BillingDetails.objects.for_customer(customer).first()
    billed_name = billed_to_name(name, details)
    try:
        gateway.update_customer(customer.external_id, email=email, name=billed_name, details=details)
    except TaxIdRefused as refusal:  # all else has arrived, and another try brings the same answer
        note_refused_tax_id(details, refusal)
    except DomainError as refusal:
        logger.warning("profile_not_sent", extra={"customer": customer.pk, "reason": refusal.code})
        delay = min(FIRST_DELAY * 2 ** min(customer.profile_failures, 11), LONGEST_DELAY)
        mine.update(profile_failures=F("profile_failures") + 1, profile_due_at=timezone.now() + delay)
        return False
    told_at = details.changed_at if details else None
    mine.update(told_email=email, told_name=name, told_details_at=told_at, profile_failures=0)
    apply_pending_events(customer)
    return True
