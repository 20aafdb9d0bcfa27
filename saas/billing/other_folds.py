"""The folds of everything beside subscriptions: customers, payment methods, invoices, the catalogue, checkout sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.billing import shapes
from saas.billing.ordering import Told, in_order
from saas.billing.shapes import Object

_INVOICE_RANKS = ["draft", "open", "uncollectible", "void", "paid", "deleted"]


@dataclass(frozen=True)
class CustomerFold:
    email: str
    delinquent: bool
    default_payment_method: str
    reference: str  # the id that we gave the provider, if we made the customer
    deleted_at: datetime | None


def customer(events: Sequence[Told]) -> CustomerFold | None:
    """The last snapshot; a deletion is a tombstone."""
    if not events:
        return None
    last, gone_at = _last(events, gone="deleted")
    return CustomerFold(
        email=shapes.text(last.object.get("email"), 512),
        delinquent=last.object.get("delinquent") is True,
        default_payment_method=_default_payment_method(last.object),
        reference=shapes.text(shapes.mapping(last.object.get("metadata")).get("customer_id"), 40),
        deleted_at=gone_at,
    )


def _default_payment_method(snapshot: Object) -> str:
    settings = shapes.mapping(snapshot.get("invoice_settings"))
    return shapes.id_of(settings.get("default_payment_method")) or shapes.id_of(snapshot.get("default_source"))


@dataclass(frozen=True)
class PaymentMethodFold:
    customer_id: str
    type: str
    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None
    detached_at: datetime | None
    created_at: datetime | None


def payment_method(events: Sequence[Told]) -> PaymentMethodFold | None:
    """The last snapshot; a detached method stays detached, and stays its customer's."""
    if not events:
        return None
    last, gone_at = _last(events, gone="detached")
    kind = shapes.text(last.object.get("type"), 64)
    details = shapes.mapping(last.object.get(kind))
    return PaymentMethodFold(
        customer_id=_owner(events),
        type=kind,
        brand=shapes.text(details.get("brand"), 64),
        last4=shapes.text(details.get("last4"), 16),
        exp_month=_small(details.get("exp_month")),
        exp_year=_small(details.get("exp_year")),
        detached_at=gone_at,
        created_at=shapes.moment(last.object.get("created")),
    )


def _owner(events: Sequence[Told]) -> str:
    """A detached method has no customer any more: what was before tells whose it was."""
    by_time = sorted(events, key=lambda told: told.created, reverse=True)
    named = [
        shapes.id_of(told.object.get("customer")) or shapes.id_of(told.previous.get("customer")) for told in by_time
    ]
    return next((name for name in named if name), "")


def _small(value: object) -> int | None:
    number = shapes.whole(value)
    return number if number is not None and 0 <= number <= 9999 else None


@dataclass(frozen=True)
class InvoiceFold:
    status: str
    customer_id: str
    subscription_id: str
    number: str
    currency: str
    total_cents: int
    amount_due_cents: int
    amount_paid_cents: int
    hosted_url: str
    issued_at: datetime | None
    paid_at: datetime | None


def invoice(events: Sequence[Told]) -> InvoiceFold | None:
    """The furthest of draft, open, uncollectible, void, paid that any event tells; among equals the latest."""
    if not events:
        return None
    last = max(events, key=lambda told: (_invoice_rank(told), told.created, told.id))
    shown = last.object
    paid_at = shapes.mapping(shown.get("status_transitions")).get("paid_at")
    status = _invoice_status(last)
    return InvoiceFold(
        status=status,
        customer_id=shapes.id_of(shown.get("customer")),
        subscription_id=shapes.invoice_subscription(shown),
        number=shapes.text(shown.get("number")),
        currency=shapes.text(shown.get("currency"), 8),
        total_cents=shapes.whole(shown.get("total")) or 0,
        amount_due_cents=shapes.whole(shown.get("amount_due")) or 0,
        amount_paid_cents=shapes.whole(shown.get("amount_paid")) or 0,
        hosted_url=shapes.text(shown.get("hosted_invoice_url"), 2048),
        issued_at=shapes.moment(shown.get("created")) or shapes.moment(shown.get("date")),
        paid_at=shapes.moment(paid_at or last.created) if status == "paid" else None,
    )


def _invoice_status(told: Told) -> str:
    return "deleted" if told.ends("deleted") else shapes.invoice_status(told.object)


def _invoice_rank(told: Told) -> int:
    status = _invoice_status(told)
    return _INVOICE_RANKS.index(status) if status in _INVOICE_RANKS else -1


@dataclass(frozen=True)
class PriceFold:
    is_active: bool
    product_id: str
    unit_amount_cents: int | None
    currency: str
    interval: str
    interval_count: int


def price(events: Sequence[Told]) -> PriceFold | None:
    """The last snapshot; a deleted price is not active."""
    if not events:
        return None
    last, gone_at = _last(events, gone="deleted")
    recurring = shapes.mapping(last.object.get("recurring"))
    return PriceFold(
        is_active=last.object.get("active") is not False and gone_at is None,
        product_id=shapes.id_of(last.object.get("product")),
        unit_amount_cents=shapes.whole(last.object.get("unit_amount")),
        currency=shapes.text(last.object.get("currency"), 8),
        interval=shapes.text(recurring.get("interval"), 16),
        interval_count=min(shapes.count(recurring.get("interval_count"), 1), 1000),
    )


@dataclass(frozen=True)
class ProductFold:
    name: str
    description: str
    is_active: bool
    named_plan_id: str


def product(events: Sequence[Told]) -> ProductFold | None:
    """The last snapshot; a deleted product is not active."""
    if not events:
        return None
    last, gone_at = _last(events, gone="deleted")
    return ProductFold(
        name=shapes.text(last.object.get("name"), 255),
        description=shapes.text(last.object.get("description"), 5000),
        is_active=last.object.get("active") is not False and gone_at is None,
        named_plan_id=shapes.named_plan(last.object),
    )


@dataclass(frozen=True)
class SessionFold:
    """``status`` is one of ``Checkout.Status``."""

    status: str
    reference: str  # our checkout's id, if we made the session
    customer_id: str
    subscription_id: str
    ended_at: datetime | None


def checkout_session(events: Sequence[Told]) -> SessionFold | None:
    """Paid beats all else; then what failed, then what expired. Completed but not paid yet is still pending."""
    if not events:
        return None
    statuses = {_session_status(told): told for told in sorted(events, key=lambda told: told.created, reverse=True)}
    status = next(name for name in ("active", "failed", "expired", "pending") if name in statuses)
    shown = statuses[status]
    return SessionFold(
        status=status,
        reference=shapes.text(shown.object.get("client_reference_id"), 200),
        customer_id=shapes.id_of(shown.object.get("customer")),
        subscription_id=shapes.id_of(shown.object.get("subscription")),
        ended_at=None if status == "pending" else shapes.moment(shown.created),
    )


def _session_status(told: Told) -> str:
    if told.ends("async_payment_succeeded"):
        return "active"
    if told.ends("async_payment_failed"):
        return "failed"
    status, payment = told.object.get("status"), told.object.get("payment_status")
    if told.ends("expired") or status == "expired":
        return "expired"
    is_complete = told.ends("completed") or status == "complete"
    return "active" if is_complete and payment in {"paid", "no_payment_required"} else "pending"


def _last(events: Sequence[Told], *, gone: str) -> tuple[Told, datetime | None]:
    """The last event, or the one that ended the object and when that was."""
    ordered, _ = in_order(events, facets=repr, rank=lambda _: 0)
    if ends := [told for told in ordered if told.ends(gone)]:
        return ends[0], shapes.moment(ends[0].created)
    return ordered[-1], None
