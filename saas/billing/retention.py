"""How long the rows of billing are kept, and which payloads of events they need.

Subscriptions, invoices and what belongs to them stay: they are accounts. A row whose payloads are deleted stays as it is.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from saas.billing.models import (
    BillingDetails,
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    LocalClock,
    LocalObject,
    PaymentMethod,
    PendingChange,
    Plan,
    Price,
    PriceMove,
    PriceMoveStep,
    Product,
    PromotionCode,
    Subscription,
    TaxId,
)
from saas.mail.retention import keep_replayable
from saas.operations.retention.rules import delete_when, is_past, keep
from saas.webhook_events.models import WebhookPayload
from saas.webhook_events.retention import StoredPayload, payloads_in_use

ENDED = timedelta(days=400)


def _has_no_payload() -> Q:
    return Q(~Exists(WebhookPayload.objects.filter(event__object_id=OuterRef("external_id"))))


def _ids(payloads: Sequence[StoredPayload]) -> list[str]:
    return [payload.object_id for payload in payloads]


def _lasts(field: str, until: datetime) -> Q:
    """``field`` is null or not before ``until``: the object has not ended, or ended recently."""
    return Q(**{field: None}) | Q(**{f"{field}__gte": until})


@payloads_in_use("customer.")
def customers_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    rows = Customer.objects.filter(_lasts("deleted_at", ended_before), external_id__in=_ids(payloads))
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("customer.discount.")
def discounts_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    """A discount is read with its customer."""
    rows = Customer.objects.filter(
        _lasts("deleted_at", ended_before), external_id__in={payload.customer_id for payload in payloads}
    )
    living = set(rows.values_list("external_id", flat=True))
    return {payload.object_id for payload in payloads if payload.customer_id in living}


@payloads_in_use("customer.subscription.")
def subscriptions_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    rows = Subscription.objects.filter(_lasts("ended_at", ended_before), external_id__in=_ids(payloads))
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("payment_method.")
def payment_methods_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    rows = PaymentMethod.objects.filter(_lasts("detached_at", ended_before), external_id__in=_ids(payloads))
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("customer.tax_id.")
def tax_ids_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    rows = TaxId.objects.filter(_lasts("deleted_at", ended_before), external_id__in=_ids(payloads))
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("checkout.session.")
def checkouts_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    """Keep sessions of unlinked customers, too: their ``client_reference_id`` may say whose the customer is."""
    rows = Checkout.objects.filter(_lasts("ended_at", ended_before), external_id__in=_ids(payloads))
    stubs = Customer.objects.unlinked().filter(
        deleted_at=None, external_id__in={payload.customer_id for payload in payloads}
    )
    unlinked = set(stubs.values_list("external_id", flat=True))
    return set(rows.values_list("external_id", flat=True)) | {
        payload.object_id for payload in payloads if payload.customer_id in unlinked
    }


@payloads_in_use("invoice.")
def invoices_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    """An invoice ends with its customer."""
    rows = Invoice.objects.filter(_lasts("customer__deleted_at", ended_before), external_id__in=_ids(payloads))
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("charge.")
def charges_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    """A charge ends with the customer of what was paid by it, or was given back of it."""
    found: set[str] = set()
    for model in (Invoice, InvoiceAdjustment):
        rows = model.objects.filter(_lasts("customer__deleted_at", ended_before), charge_id__in=_ids(payloads))
        found.update(rows.values_list("charge_id", flat=True))
    return found


@payloads_in_use("refund.", "charge.refund.", "charge.dispute.", "credit_note.", "radar.early_fraud_warning.")
def adjustments_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    rows = InvoiceAdjustment.objects.filter(
        _lasts("customer__deleted_at", ended_before), external_id__in=_ids(payloads)
    )
    return set(rows.values_list("external_id", flat=True))


@payloads_in_use("product.", "price.", "coupon.")
def catalogue_in_use(payloads: Sequence[StoredPayload], ended_before: datetime) -> set[str]:
    """The catalogue never ends."""
    return set(_ids(payloads))


def _checkout_expired(now: datetime) -> Q:
    """One that was paid stays with its subscription."""
    came_to_nothing = Q(status__in=[Checkout.Status.EXPIRED, Checkout.Status.FAILED], ended_at__lt=now - ENDED)
    return came_to_nothing & _has_no_payload()


def _payment_method_expired(now: datetime) -> Q:
    return Q(detached_at__lt=now - ENDED) & _has_no_payload()


def _tax_id_expired(now: datetime) -> Q:
    return Q(deleted_at__lt=now - ENDED) & _has_no_payload()


delete_when(TaxId, _tax_id_expired)
delete_when(Checkout, _checkout_expired)
delete_when(BillingDetails, is_past("team__deleted_at", ENDED))  # a person's go with their account
delete_when(PaymentMethod, _payment_method_expired)
keep(
    Customer,
    Subscription,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    reason="It is a part of the accounts, or leads to them.",
)
keep(Plan, Product, Price, PromotionCode, reason="Subscriptions refer to it also when it is no longer for sale.")
keep(PriceMove, PriceMoveStep, reason="It says why subscriptions cost what they do.")
keep(PendingChange, reason="It goes when it is made or called off, within a period.")
keep(EntitlementOverride, reason="What staff gave, and why, is never forgotten.")
keep(LocalObject, reason="Only the local provider, of development, has any.")
keep(LocalClock, reason="One row, of the local provider of development.")
keep_replayable(
    "receipt",
    "renewal_upcoming",
    "payment_failed",
    "payment_action_required",
    "trial_ending",
    "subscription_canceled",
    "payment_refunded",
    "price_change",
    "billing_alert",
)
