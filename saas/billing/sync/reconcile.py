"""Reconciliation: fetch every customer's objects from the provider, and repair and report the rows that differ.

A webhook that never came leaves a row out of date. An answer that changes a row is stored as an event like any other
(decision 14), so that the repair is a projection and the ledger follows; one that changes nothing is not stored.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Min, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from prometheus_client import Counter

from saas.accounts.models import User
from saas.background_tasks import SLICE_SECONDS, for_a_while
from saas.billing import clock, providers
from saas.billing.checkouts import reconcile_checkout
from saas.billing.customers import apply_pending_events
from saas.billing.invoices import details_elsewhere
from saas.billing.models import BillingDetails, Checkout, Customer, Invoice, PaymentMethod, Subscription, TaxId
from saas.billing.models.billing_details import ADDRESS_FIELDS
from saas.billing.providers import Gateway, ProviderForbids, ProviderRefused, ProviderUnavailable, fetched_objects
from saas.billing.sync import upsert

logger = logging.getLogger(__name__)

DRIFT = Counter("billing_drift", "Rows that were not as the provider says, and were repaired.")


def _upsert_customer(external_id: str) -> None:
    row = upsert.upsert_customer(external_id)
    if row and row.is_linked and not details_elsewhere.wait_to_be_sent(row):
        details_elsewhere.take_over_customer(row)


_KINDS: dict[str, tuple[type[models.Model], Callable[[str], object]]] = {
    "customer": (Customer, _upsert_customer),
    "subscription": (Subscription, upsert.upsert_subscription),
    "invoice": (Invoice, upsert.upsert_invoice),
    "payment_method": (PaymentMethod, upsert.upsert_payment_method),
    "tax_id": (TaxId, upsert.upsert_tax_id),
}
EVERY = timedelta(days=1)
MOST_IN_A_SLICE = 500
JUST_MADE = timedelta(minutes=5)  # what is as young may have been made after the provider listed what there is
_NOT_COMPARED = {"id", "changed_at", "ambiguous", "reconciled_at"}  # about our events, not about the object


def reconcile_due(seconds: float = SLICE_SECONDS) -> int:
    """Compare customers whose last comparison was a day ago, the oldest first, as many as there is time for. Log each difference,
    which is repaired by then, and return how many there were."""
    is_due = Q(reconciled_at=None) | Q(reconciled_at__lt=timezone.now() - EVERY)
    due = _known_customers().filter(is_due).order_by(F("reconciled_at").asc(nulls_first=True), "pk")
    found = 0
    for sentence in reconcile_customers(for_a_while(due[:MOST_IN_A_SLICE], seconds)):
        logger.warning("billing_drift", extra={"difference": sentence})
        DRIFT.inc()
        found += 1
    return found


def _known_customers() -> QuerySet[Customer]:
    """Those of the current provider. Without those of erased accounts: what it still holds of a person must not come back."""
    known = Customer.objects.filter(provider=providers.current_provider(), deleted_at=None).exclude(external_id="")
    return known.exclude(user__status=User.Status.DELETED)


def longest_uncompared() -> timedelta | None:
    """For how long the customer of the longest ago was not compared, ``None`` without customers."""
    oldest = _known_customers().aggregate(at=Min(Coalesce("reconciled_at", "created_at")))["at"]
    return timezone.now() - oldest if oldest else None


def reconcile_customers(customers: Iterable[Customer] | None = None) -> Iterator[str]:
    """Compare these customers with the provider, by default all. Yields a sentence for each row that differed, after its
    repair. What our key may not read is no difference, and not asked for again."""
    gateway, kinds = providers.current_gateway(), list(_KINDS)
    all_known = _known_customers().order_by("pk").iterator(chunk_size=200)
    try:
        for customer in all_known if customers is None else customers:
            # Written before: one that fails holds up no other.
            Customer.objects.filter(pk=customer.pk).update(reconciled_at=timezone.now())
            yield from _reconcile_checkouts(customer)
            for kind in list(kinds):
                try:
                    yield from _reconcile_objects(kind, customer, gateway)
                except ProviderForbids:
                    kinds.remove(kind)
                    logger.warning("not_compared_for_want_of_permission", extra={"kind": kind})
            apply_pending_events(customer)
    except ProviderUnavailable as refusal:  # each further call would wait as long
        yield f"stopped: {refusal.detail}"


def _reconcile_objects(kind: str, customer: Customer, gateway: Gateway) -> Iterator[str]:
    asked_at, seen = clock.now(), set()
    try:
        objects = gateway.list_objects(customer.external_id, kind)
    except ProviderRefused as refusal:
        yield f"{kind} of {customer.external_id} could not be asked about: {refusal.detail}"
        return
    for found in objects:
        seen.add(found["id"])
        if fields := _repaired(kind, found, asked_at):
            yield f"{kind} {found['id']} differed: {', '.join(fields)}"
    yield from _reconcile_unlisted(kind, seen, customer, gateway, asked_at)


def _reconcile_unlisted(
    kind: str, seen: set[str], customer: Customer, gateway: Gateway, asked_at: datetime
) -> Iterator[str]:
    """The rows of the customer that the provider's list leaves out."""
    if kind == "subscription":
        rows = Subscription.objects.filter(customer=customer).exclude(external_id__in=seen).order_by("pk")
        for external_id in rows.values_list("external_id", flat=True):
            yield f"subscription {external_id} is not known to the provider"
    if kind == "tax_id":
        for row in customer.tax_ids.live().filter(created_at__lt=asked_at - JUST_MADE).exclude(external_id__in=seen):
            _store_deletion(row, customer, asked_at)
            yield f"tax_id {row.external_id} differed: deleted_at"
    if kind == "payment_method":
        cards = customer.payment_methods.usable().filter(created_at__lt=asked_at - JUST_MADE)
        for external_id in cards.exclude(external_id__in=seen).values_list("external_id", flat=True):
            yield from _repaired_detachment(external_id, gateway)


def _repaired_detachment(external_id: str, gateway: Gateway) -> Iterator[str]:
    """The customer's list leaves out a card that was detached: the provider is asked for it by its id."""
    try:
        gateway.fetch_object("payment_method", external_id)
    except ProviderRefused as refusal:
        yield f"payment_method {external_id} could not be asked about: {refusal.detail}"
        return
    with transaction.atomic():
        upsert.upsert_payment_method(external_id)
    if PaymentMethod.objects.exclude(detached_at=None).filter(external_id=external_id).exists():
        yield f"payment_method {external_id} differed: detached_at"


def _store_deletion(row: TaxId, customer: Customer, asked_at: datetime) -> None:
    found = {
        "id": row.external_id,
        "object": "tax_id",
        "customer": customer.external_id,
        "type": row.kind,
        "value": row.value,
        "created": int(row.created_at.timestamp()),
        "livemode": settings.STRIPE_LIVEMODE,  # an event of the other mode is ignored
    }
    fetched_objects.store_fetched_object(found, asked_at=asked_at, event_type="customer.tax_id.deleted")


def _reconcile_checkouts(customer: Customer) -> Iterator[str]:
    pending = customer.checkouts.filter(status=Checkout.Status.PENDING).exclude(external_id="")
    for checkout in pending.select_related("customer"):
        reconcile_checkout(checkout)
        if checkout.status != Checkout.Status.PENDING:
            yield f"checkout {checkout.external_id} differed: status"


@transaction.atomic
def _repaired(kind: str, found: dict[str, Any], asked_at: datetime) -> list[str]:
    """Store the answer and update the row. Returns the columns that changed; if none did, the answer is not stored."""
    model, upsert_object = _KINDS[kind]
    before = _row(model, found["id"])
    fetched_objects.store_fetched_object(found, asked_at=asked_at)
    upsert_object(found["id"])
    after = _row(model, found["id"])
    fields = sorted(name for name in {**before, **after} if after.get(name) != before.get(name))
    if not fields:
        transaction.set_rollback(True)
    return ["it was missing"] if fields and not before else fields


def _row(model: type[models.Model], external_id: str) -> dict[str, Any]:
    row = model._default_manager.filter(external_id=external_id).first()
    if row is None:
        return {}
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    if isinstance(row, Customer):
        values |= _details(row)
    if isinstance(row, Invoice):
        values["hosted_url"] = bool(row.hosted_url)  # Stripe makes another one for each answer
    return {name: value for name, value in values.items() if name not in _NOT_COMPARED}


def _details(customer: Customer) -> dict[str, Any]:
    """What the provider's answer about a customer may change of the billing details."""
    row = BillingDetails.objects.for_customer(customer).values("company_name", *ADDRESS_FIELDS).first() or {}
    return {name: text for name, text in row.items() if text}
