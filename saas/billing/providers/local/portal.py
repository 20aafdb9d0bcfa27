"""The local provider's billing portal: change the plan, cancel, cards, invoices.

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
from saas.billing.models import Customer, LocalObject, Plan, Price, Subscription
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import lifecycle, objects, operations
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
    return {
        "return_url": session.return_url,
        "customer": customer.data,
        "subscription": _subscription(subscription) if subscription else None,
        "plans": Plan.objects.on_sale() if subscription else [],
        "cards": [{"id": row.pk, "is_default": row.pk == default_id, **row.data[row.data["type"]]} for row in cards],
        "invoices": [_invoice(row) for row in _of_kind(session, "invoice").order_by("-pk")[:INVOICES_SHOWN]],
    }


def _of_kind(session: PortalSession, kind: str) -> QuerySet[LocalObject]:
    return LocalObject.objects.of_kind(kind).filter(customer_id=session.customer_id)


def _live_subscription(session: PortalSession) -> LocalObject | None:
    rows = _of_kind(session, "subscription").exclude(data__status__in=Subscription.TERMINAL).order_by("-pk")
    return rows.first()


def _subscription(row: LocalObject) -> dict[str, Any]:
    price = Price.objects.select_related("plan").get(external_id=row.data["items"]["data"][0]["price"]["id"])
    return {
        "plan": price.plan,
        "status": row.data["status"],
        "is_ending": row.data["cancel_at_period_end"],
        "next_at": lifecycle.next_step_at(row) if row.data["status"] == "past_due" else lifecycle.period_end(row),
    }


def _invoice(row: LocalObject) -> dict[str, Any]:
    fields = {name: row.data[name] for name in ("number", "status")}
    amount = Money(row.data["total"], row.data["currency"])
    return {**fields, "amount": amount, "at": datetime.fromtimestamp(row.data["created"], UTC)}


def amount_due_after_change(session: PortalSession, plan_id: str) -> Money:
    """What the next invoice would be. Raises as ``change_plan`` does."""
    with transaction.atomic():
        row, price_id = _require_change(session, plan_id)
        return Money(operations.amount_due_after_change(row, price_id, clock.now()), row.data["currency"])


def change_plan(session: PortalSession, plan_id: str) -> None:
    """Raises ``ProviderRefused`` without a subscription, and for a plan that is not on sale."""
    _operate(session, lambda now: operations.change_price(*_require_change(session, plan_id), now))


def _require_change(session: PortalSession, plan_id: str) -> tuple[LocalObject, str]:
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    price = Price.objects.selling(plan, Customer.Provider.LOCAL).first() if plan else None
    if price is None:
        raise ProviderRefused("Choose one of the plans.")
    return _require_subscription(session), price.external_id


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
