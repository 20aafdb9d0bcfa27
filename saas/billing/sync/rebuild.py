"""Rebuilding: projecting all stored events again, and comparing the result with every row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from saas.billing.models import (
    Checkout,
    Customer,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    PaymentMethod,
    Price,
    Product,
    Subscription,
    TaxId,
)
from saas.billing.sync import adjustments, event_history, ledger, upsert


@dataclass(frozen=True)
class ObjectKind:
    """Events whose type begins with ``prefix`` are projected into rows of ``model``; ``upsert`` writes one of them."""

    name: str
    prefix: str
    model: type[models.Model]
    upsert: Callable[[str], object]


# Customers first: the others refer to them.
KINDS = [
    ObjectKind("customer", "customer.created", Customer, upsert.upsert_customer),
    ObjectKind("customer", "customer.updated", Customer, upsert.upsert_customer),
    ObjectKind("customer", "customer.deleted", Customer, upsert.upsert_customer),
    ObjectKind("product", "product.", Product, upsert.upsert_product),
    ObjectKind("price", "price.", Price, upsert.upsert_price),
    ObjectKind("subscription", "customer.subscription.", Subscription, upsert.upsert_subscription),
    ObjectKind("invoice", "invoice.", Invoice, upsert.upsert_invoice),
    *(
        ObjectKind("adjustment", prefix, InvoiceAdjustment, adjustments.upsert_adjustment)
        for prefix in ("refund.", "charge.refund.", "charge.dispute.", "credit_note.", "radar.early_fraud_warning.")
    ),
    ObjectKind("payment method", "payment_method.", PaymentMethod, upsert.upsert_payment_method),
    ObjectKind("tax id", "customer.tax_id.", TaxId, upsert.upsert_tax_id),
    ObjectKind("checkout", "checkout.session.", Checkout, upsert.upsert_checkout),
]


def rebuild_rows(*, repair: bool) -> Iterator[str]:
    """One sentence for each row that differs from its events. With ``repair`` the row is written, each in a transaction.

    A row without events is reported and left as it is, unless receipts show that retention has deleted its events.
    """
    seen: set[tuple[str, str]] = set()
    named: set[str] = set()
    for kind in KINDS:
        for external_id in event_history.object_ids(kind.prefix):
            if (kind.name, external_id) not in seen:
                found = [sentence for sentence in _differences(kind, external_id, repair) if sentence not in named]
                named.update(found)
                yield from found
            seen.add((kind.name, external_id))
    for kind in (kind for kind in KINDS if kind.model in {Subscription, Invoice, PaymentMethod, TaxId}):
        for external_id in _rows(kind.model).values_list("external_id", flat=True):
            if (kind.name, external_id) not in seen and not event_history.has_deleted_payload(external_id):
                yield f"{kind.name} {external_id} has no event"


def _rows(model: type[models.Model]) -> models.QuerySet[Any]:
    """Without the stubs of invoices whose own events have not come."""
    return Invoice.objects.exclude(Invoice.IS_STUB) if model is Invoice else model._default_manager.all()


def _differences(kind: ObjectKind, external_id: str, repair: bool) -> list[str]:
    """What the upsert changes, in sentences. Without ``repair`` the change is rolled back."""
    with transaction.atomic():
        before, ledgers_before = _row(kind.model, external_id), _ledgers(kind, external_id)
        kind.upsert(external_id)
        after, ledgers = _row(kind.model, external_id), _ledgers(kind, external_id)
        if not repair:
            transaction.set_rollback(True)
    if not before and after:
        row = [f"{kind.name} {external_id} differs: it is missing"]
    else:
        fields = sorted(name for name in after if after[name] != before.get(name))
        row = [f"{kind.name} {external_id} differs: {', '.join(fields)}"] if fields else []
    names = ledgers.keys() | ledgers_before.keys()
    return row + [
        f"ledger of {name} differs" for name in sorted(names) if ledgers.get(name) != ledgers_before.get(name)
    ]


def _row(model: type[models.Model], external_id: str) -> dict[str, Any]:
    return model._default_manager.filter(external_id=external_id).values().first() or {}


def _ledgers(kind: ObjectKind, external_id: str) -> dict[str, list[dict[str, object]]]:
    """The ledgers of all subscriptions of a subscription's customer: they are written together."""
    if kind.model is not Subscription:
        return {}
    customers = Subscription.objects.filter(external_id=external_id).values("customer")
    ledgers: dict[str, list[dict[str, object]]] = {}
    entries = LedgerEntry.objects.filter(subscription__customer__in=customers).select_related("subscription")
    for entry in entries.order_by("subscription", "number"):
        ledgers.setdefault(entry.subscription.external_id, []).append(ledger.ledger_fields(entry))
    return ledgers
