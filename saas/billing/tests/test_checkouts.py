"""Checkouts that something else happens to meanwhile."""

from typing import Any

import pytest
from django.db import transaction

from saas.billing import checkouts, clock, providers
from saas.billing.catalogue.offers import NotForSale
from saas.billing.models import Checkout, Customer, LocalObject
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import objects, operations
from saas.testing.factories import event_factories, stripe_object_factories
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent


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


@pytest.mark.parametrize("refusal", [ProviderRefused, NotForSale])
def test_a_checkout_that_was_paid_meanwhile_does_not_fail_by_a_refusal(
    customer: Person, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    """The answer to the first call was lost and its session paid; the repeated call is refused."""

    def refuse(self: object, **call: object) -> None:
        Checkout.objects.update(status="active")
        raise refusal

    monkeypatch.setattr(type(providers.current_gateway()), "create_checkout", refuse)
    with pytest.raises(refusal):
        checkouts.start_checkout(customer.user, plan_id="starter")

    assert Checkout.objects.get().status == "active"


@pytest.mark.parametrize("type", ["checkout.session.expired", "checkout.session.async_payment_failed"])
def test_a_checkout_that_was_paid_is_not_overwritten_by_a_late_event(customer: Person, type: str) -> None:
    """The event that paid it is out of retention."""
    checkout = checkouts.start_checkout(customer.user, plan_id="starter")
    Checkout.objects.update(status="active", external_id="cs_paid", subscription_id="sub_paid")

    late = stripe_object_factories.checkout_session(id="cs_paid", client_reference_id=checkout.pk, status="expired")
    append_event(stripe_object_factories.event(type, late), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()

    checkout.refresh_from_db()
    assert (checkout.status, checkout.subscription_id) == ("active", "sub_paid")
