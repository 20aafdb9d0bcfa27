"""Concurrent requests that open the same checkout."""

from typing import Any

from django.db import transaction

from saas.billing import checkouts, clock
from saas.billing.models import Customer, LocalObject
from saas.billing.providers.local import objects, operations
from saas.testing.factories.user_factories import Person


def test_a_click_before_the_customer_was_known_waits_for_the_events(
    customer: Person, settings: Any, monkeypatch: Any
) -> None:
    """The second of two at once had read the customer before the first made her known to the provider."""
    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    opened = checkouts.start_checkout(customer.user, plan_id="growth")
    before = Customer(pk=opened.customer_id, user=customer.user, provider="local")
    with transaction.atomic():
        operations.complete_session(LocalObject.objects.get(pk=opened.external_id), clock.now())
        objects.move_events_to_inbox(opened.customer.external_id)
    monkeypatch.setattr(checkouts, "get_or_create_customer", lambda owner, gateway: before)
    monkeypatch.setattr(checkouts, "_settle_open_checkouts", lambda *_: None)

    again = checkouts.start_checkout(customer.user, plan_id="growth")

    assert (again.pk, again.status) == (opened.pk, "active")
