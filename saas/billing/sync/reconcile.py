"""What the provider says, against what we hold: asked about each customer, repaired through the inbox, and told.

A webhook that never came leaves a row behind the truth. An answer that changes a row enters the inbox like any other
(decision 14), so a repair is a fold, and the ledger moves with it; one that changes nothing leaves no trace.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db import models, transaction

from saas.billing import clock, providers
from saas.billing.checkouts import reconcile_checkout
from saas.billing.customers import apply_pending_events
from saas.billing.models import Checkout, Customer, Invoice, PaymentMethod, Subscription
from saas.billing.providers import Gateway, ProviderRefused, ProviderUnavailable, fetched_objects
from saas.billing.sync import upsert

logger = logging.getLogger(__name__)

_KINDS: dict[str, tuple[type[models.Model], Callable[[str], None]]] = {
    "customer": (Customer, upsert.upsert_customer),
    "subscription": (Subscription, upsert.upsert_subscription),
    "invoice": (Invoice, upsert.upsert_invoice),
    "payment_method": (PaymentMethod, upsert.upsert_payment_method),
}
_ABOUT_LEARNING = {"id", "changed_at", "ambiguous"}  # tells when and how we learned it, not what is so


def reconcile_all() -> int:
    """Repair everything, and log each difference; tells how many there were."""
    sentences = list(reconcile_customers())
    for sentence in sentences:
        logger.warning("billing_drift", extra={"difference": sentence})
    return len(sentences)


def reconcile_customers() -> Iterator[str]:
    """Ask about every customer of the present provider. A sentence for each row that was not as the provider says; it
    has been put right by then."""
    gateway = providers.current_gateway()
    known = Customer.objects.filter(provider=gateway.provider, deleted_at=None).exclude(external_id="")
    try:
        for customer in known.order_by("pk").iterator(chunk_size=200):
            yield from _of_customer(customer, gateway)
    except ProviderUnavailable as refusal:  # each further question would wait as long
        yield f"stopped: {refusal.detail}"


def _of_customer(customer: Customer, gateway: Gateway) -> Iterator[str]:
    yield from _checkouts(customer)
    for kind in _KINDS:
        try:
            yield from _of_kind(kind, customer, gateway)
        except ProviderRefused as refusal:
            yield f"{kind} of {customer.external_id} could not be asked about: {refusal.detail}"
    apply_pending_events(customer)


def _of_kind(kind: str, customer: Customer, gateway: Gateway) -> Iterator[str]:
    asked_at, seen = clock.now(), set()
    for found in gateway.list_objects(customer.external_id, kind):
        seen.add(found["id"])
        if fields := _repaired(kind, found, asked_at):
            yield f"{kind} {found['id']} differed: {', '.join(fields)}"
    if kind == "subscription":
        rows = Subscription.objects.filter(customer=customer).exclude(external_id__in=seen).order_by("pk")
        for external_id in rows.values_list("external_id", flat=True):
            yield f"subscription {external_id} is not known to the provider"


def _checkouts(customer: Customer) -> Iterator[str]:
    pending = customer.checkouts.filter(status=Checkout.Status.PENDING).exclude(external_id="")
    for checkout in pending.select_related("customer"):
        reconcile_checkout(checkout)
        if checkout.status != Checkout.Status.PENDING:
            yield f"checkout {checkout.external_id} differed: status"


@transaction.atomic
def _repaired(kind: str, found: dict[str, Any], asked_at: datetime) -> list[str]:
    """The columns that the answer changes. An answer that changes none is forgotten."""
    model, mirror = _KINDS[kind]
    before = _row(model, found["id"])
    fetched_objects.store_fetched_object(found, asked_at=asked_at)
    mirror(found["id"])
    after = _row(model, found["id"])
    fields = sorted(name for name in after if after[name] != before.get(name))
    if not fields:
        transaction.set_rollback(True)
    return ["it was missing"] if fields and not before else fields


def _row(model: type[models.Model], external_id: str) -> dict[str, Any]:
    row = model._default_manager.filter(external_id=external_id).values().first() or {}
    return {name: value for name, value in row.items() if name not in _ABOUT_LEARNING}
