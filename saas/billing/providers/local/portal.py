"""The local provider's billing portal: plan, interval and seats, promotion codes, the end, cards, credit, invoices.

It shows the provider's own objects, as Stripe's portal does; what is done in it reaches billing as signed events. The
session's id gives access for an hour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from saas.background_tasks import notify_workers
from saas.billing import clock
from saas.billing.catalogue.promotions import find_promotion_code
from saas.billing.models import Customer, LocalObject, Plan, Price, Subscription
from saas.billing.models.catalogue import LARGEST_QUANTITY, PriceQuerySet
from saas.billing.providers.interface import InvoicePreview, PaymentDeclined, ProviderRefused
from saas.billing.providers.local import invoicing, lifecycle, objects, operations, previews
from saas.billing.providers.local.tasks import deliver_local_events
from saas.errors import NotFound
from saas.ids import id_created_at
from saas.money import Money

LIFETIME = timedelta(hours=1)
INVOICES_SHOWN = 24


@dataclass(frozen=True)
class PortalSession:
    """One visit of a customer. ``return_url`` is where the page leads back to."""

    id: str
    customer_id: str
    return_url: str


def get_portal_session(session_id: str) -> PortalSession:
    """Raises ``NotFound`` for a session that does not exist or is over."""
    row = LocalObject.objects.filter(pk=session_id, kind="billing_portal.session").first()
    if row is None or id_created_at(row.pk) < timezone.now() - LIFETIME:
        raise NotFound
    return PortalSession(row.pk, row.customer_id, str(row.data["return_url"]))


def portal_context(session: PortalSession) -> dict[str, Any]:
    """The values that the page shows."""
    customer = LocalObject.objects.get(pk=session.customer_id)
    default_id = customer.data["invoice_settings"]["default_payment_method"]
    cards = [row for row in _of_kind(session, "payment_method") if row.data["customer"]]
    subscription = _live_subscription(session)
    currency = subscription.data["currency"] if subscription else ""
    return {
        "return_url": session.return_url,
        "customer": customer.data,
        "subscription": _subscription(subscription) if subscription else None,
        "offers": offered_prices(subscription) if subscription else [],
        "credit": Money(max(-int(customer.data.get("balance") or 0), 0), currency) if subscription else None,
        "cards": [{"id": row.pk, "is_default": row.pk == default_id, **row.data[row.data["type"]]} for row in cards],
        "invoices": [_invoice(row) for row in _of_kind(session, "invoice").order_by("-pk")[:INVOICES_SHOWN]],
    }


def _of_kind(session: PortalSession, kind: str) -> QuerySet[LocalObject]:
    return LocalObject.objects.of_kind(kind).filter(customer_id=session.customer_id)


def _live_subscription(session: PortalSession) -> LocalObject | None:
    rows = _of_kind(session, "subscription").exclude(data__status__in=Subscription.TERMINAL).order_by("-pk")
    return rows.first()


def offered_prices(row: LocalObject) -> PriceQuerySet:
    """What the subscription can be changed to: its currency never changes."""
    prices = Price.objects.current(Customer.Provider.LOCAL).filter(currency=row.data["currency"])
    sold = prices.filter(plan__in=Plan.objects.on_sale(), unit_amount_cents__isnull=False)
    return sold.select_related("plan").order_by("plan__position", "plan_id", "interval")


def _subscription(row: LocalObject) -> dict[str, Any]:
    item = row.data["items"]["data"][0]
    price = Price.objects.select_related("plan").get(external_id=item["price"]["id"])
    return {
        "plan": price.plan,
        "price": price,
        "quantity": item["quantity"],
        "codes": [discount["coupon"]["name"] for discount in invoicing.live_discounts(row, clock.now())],
        "status": row.data["status"],
        "is_ending": row.data["cancel_at_period_end"],
        "next_at": lifecycle.dunning_end(row) if row.data["status"] == "past_due" else lifecycle.period_end(row),
    }


def _invoice(row: LocalObject) -> dict[str, Any]:
    fields = {name: row.data[name] for name in ("number", "status")}
    amount = Money(row.data["total"], row.data["currency"])
    return {**fields, "amount": amount, "at": datetime.fromtimestamp(row.data["created"], UTC)}


@dataclass(frozen=True)
class PortalChange:
    """To a price of a plan, for so many seats where it is sold per seat."""

    subscription: LocalObject
    price: Price
    quantity: int


def find_change(session: PortalSession, price_id: str, seats: str) -> PortalChange:
    """What was chosen. ``seats`` is as it was typed; left out, they stay. Raises ``ProviderRefused`` without a subscription, for
    a price that is not offered, and for no number of seats."""
    row = _require_subscription(session)
    price = offered_prices(row).filter(external_id=price_id).first()
    if price is None:
        raise ProviderRefused("Choose one of the plans.")
    if not price.is_per_unit:
        return PortalChange(row, price, 1)
    wanted = seats or str(row.data["items"]["data"][0]["quantity"])
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 9 and 1 <= int(wanted) <= LARGEST_QUANTITY):
        raise ProviderRefused("Choose the number of seats.")
    return PortalChange(row, price, price.quantity_for(int(wanted)))


def preview_change(session: PortalSession, price_id: str, seats: str) -> tuple[PortalChange, InvoicePreview]:
    """The next invoice after the change. Raises as ``find_change`` does."""
    with transaction.atomic():
        change = find_change(session, price_id, seats)
        price = change.price.external_id or ""
        return change, previews.preview_change(change.subscription, price, clock.now(), quantity=change.quantity)


def change_plan(session: PortalSession, price_id: str, seats: str) -> None:
    """Raises as ``find_change`` does."""

    def change_price(now: datetime) -> None:
        change = find_change(session, price_id, seats)
        operations.change_price(change.subscription, change.price.external_id or "", now, quantity=change.quantity)

    _operate(session, change_price)


def enter_code(session: PortalSession, code: str) -> None:
    """Take off what the promotion code gives. Raises ``Invalid`` for one that cannot be used, ``ProviderRefused`` without a
    subscription."""

    def apply_code(now: datetime) -> None:
        row = _require_subscription(session)
        operations.apply_coupon(row, find_promotion_code(code, currency=row.data["currency"]).pk, now)

    _operate(session, apply_code)


def cancel_subscription(session: PortalSession, reason: str) -> None:
    """Cancel for the end of the period. Raises ``ProviderRefused`` without a subscription."""
    _operate(
        session,
        lambda now: operations.set_cancel_at_period_end(_require_subscription(session), now, value=True, reason=reason),
    )


def resume_subscription(session: PortalSession) -> None:
    """Revoke the cancellation. Raises ``ProviderRefused`` without a subscription."""
    _operate(session, lambda now: operations.set_cancel_at_period_end(_require_subscription(session), now, value=False))


def add_card(session: PortalSession, last4: str) -> None:
    """Add a default card, and pay the open invoices with it. Raises ``PaymentDeclined``."""
    if len(last4) != 4 or not last4.isascii() or not last4.isdigit():
        raise PaymentDeclined("Choose one of the test cards.")
    _operate(session, lambda now: operations.add_test_card(session.customer_id, last4, now))


def set_default_card(session: PortalSession, card_id: str) -> None:
    """Make it the default. Raises ``ProviderRefused`` for a card of another customer."""
    _operate(
        session,
        lambda now: operations.set_default_payment_method(
            objects.lock_object(session.customer_id, "customer"), _own_card(session, card_id).pk, now
        ),
    )


def remove_card(session: PortalSession, card_id: str) -> None:
    """Raises ``ProviderRefused`` for a card of another customer."""
    _operate(session, lambda now: operations.detach_payment_method(_own_card(session, card_id), now))


@transaction.atomic
def _operate(session: PortalSession, operation: Callable[[datetime], object]) -> None:
    objects.lock_object(session.customer_id, "customer")  # operations on a customer run one at a time
    operation(clock.now())
    notify_workers(deliver_local_events, session.customer_id)


def _require_subscription(session: PortalSession) -> LocalObject:
    row = _live_subscription(session)
    if row is None:
        raise ProviderRefused("There is no subscription.")
    return objects.lock_object(row.pk, "subscription")


def _own_card(session: PortalSession, card_id: str) -> LocalObject:
    row = _of_kind(session, "payment_method").filter(pk=card_id).first()
    if row is None or not row.data["customer"]:
        raise ProviderRefused("There is no such card.")
    return row
