"""The local provider's checkout: pay with a test card that works or fails, or leave.

The session's id, which cannot be guessed, gives access, as with Stripe's page. What is done here reaches billing as signed
events to the webhooks service.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from saas.background_tasks import notify_workers
from saas.billing import clock
from saas.billing.models import Checkout, Customer, LocalObject
from saas.billing.providers.local import objects, operations
from saas.billing.providers.local.tasks import deliver_local_events
from saas.errors import Invalid, NotFound

TEST_CARDS = {
    "4242": "A card that pays",
    "0341": "A card that pays now and fails at the renewal",
    "0002": "A card that is declined",
    "9995": "A card without sufficient funds",
    "0069": "A card that has expired",
    "0127": "A card with a wrong security code",
}


class ChooseACard(Invalid):
    title = "Choose one of the cards."  # 422


def get_checkout(session_id: str) -> Checkout:
    """The checkout that the session is for. Raises ``NotFound``, also where checkouts are instant."""
    mine = Checkout.objects.filter(customer__provider=Customer.Provider.LOCAL).select_related("plan", "customer")
    row = mine.filter(external_id=session_id).exclude(external_id="").first()
    if row is None or settings.BILLING_LOCAL_CHECKOUT != "hosted":
        raise NotFound
    return row


def get_session(checkout: Checkout) -> LocalObject:
    """The provider's session, which may be ahead of our checkout."""
    return LocalObject.objects.get(pk=checkout.external_id)


def session_trial_end(session: dict[str, Any]) -> datetime | None:
    """When the session's trial would end if it started now."""
    days = session["trial_period_days"]
    return clock.now() + timedelta(days=days) if days else None


@transaction.atomic
def pay_checkout(checkout: Checkout, *, last4: str) -> None:
    """Raises ``ChooseACard`` for an unknown card, ``PaymentDeclined``, and ``ProviderRefused`` for a session that is over."""
    if last4 not in TEST_CARDS:
        raise ChooseACard
    session = objects.lock_object(checkout.external_id, "checkout.session")
    operations.pay_session(session, last4, clock.now())
    notify_workers(deliver_local_events, session.customer_id)


@transaction.atomic
def abandon_checkout(checkout: Checkout) -> None:
    """Expire an open session."""
    session = objects.lock_object(checkout.external_id, "checkout.session")
    operations.expire_session(session, clock.now())
    notify_workers(deliver_local_events, session.customer_id)
