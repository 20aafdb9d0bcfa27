"""Customers at the provider: creating them there, and applying the events that wait for them."""

import time

from django.db.models import Q

from saas.accounts.models import User
from saas.billing.models import Customer, Owner
from saas.billing.providers import Gateway
from saas.billing.sync.upsert import link_customer
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

PENDING_EVENT_ROUNDS = 20
PENDING_EVENT_PAUSE_SECONDS = 0.05  # another request has the customer's lock: it is brief


def get_or_create_customer(owner: Owner, gateway: Gateway) -> Customer:
    """The owner's row for this provider. A new one is not yet known to the provider."""
    values = {"user": owner} if isinstance(owner, User) else {"team_id": owner.pk}
    row, _ = Customer.objects.get_or_create(provider=gateway.provider, **values)
    return row


def ensure_provider_customer(customer: Customer, payer: User, gateway: Gateway) -> Customer:
    """Create the customer at the provider, once: the idempotency key makes repeated and simultaneous calls one."""
    if not customer.external_id:
        external_id = gateway.create_customer(
            reference=customer.pk,
            email=payer.email,
            name=payer.full_name,
            idempotency_key=f"customer:{customer.pk}",
        )
        link_customer(customer.pk, external_id)
        customer.refresh_from_db()
    return customer


def apply_pending_events(customer: Customer) -> None:
    """Process the events of the customer that are queued, so that the answer shows their effect.

    A worker processes those that are still queued after ``PENDING_EVENT_ROUNDS``.
    """
    mine = Q(customer_id=customer.external_id) | Q(object_id=customer.external_id)
    waiting = WebhookEvent.objects.filter(mine, status=WebhookEvent.Status.QUEUED).order_by("pk")
    for round in range(PENDING_EVENT_ROUNDS):
        ids = list(waiting.values_list("pk", flat=True))
        if not ids:
            return
        if round:
            time.sleep(PENDING_EVENT_PAUSE_SECONDS)
        for event_id in ids:
            event_worker.process_event(event_id)
