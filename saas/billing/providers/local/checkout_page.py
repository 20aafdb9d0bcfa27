"""The local provider's checkout: pay with a test card that works or fails, or leave.

The session's id, which cannot be guessed, gives access, as with Stripe's page. What is done here reaches billing as signed
events to the webhooks service.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_noop as _

from saas.background_tasks import notify_workers
from saas.billing import clock
from saas.billing.catalogue.promotions import find_promotion_code
from saas.billing.models import Checkout, Customer, LocalObject, Price
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import invoicing, lifecycle, objects, operations, promotions
from saas.billing.providers.local.tasks import deliver_local_events
from saas.errors import DomainError, Invalid, NotFound
from saas.money import Money

TEST_CARDS = {
    "4242": _("A card that pays"),
    "0341": _("A card that pays now and fails at the renewal"),
    "3184": _("A card that asks you to confirm each payment (3-D Secure)"),
    "0002": _("A card that is declined"),
    "9995": _("A card without sufficient funds"),
    "0069": _("A card that has expired"),
    "0127": _("A card with a wrong security code"),
}


class ChooseACard(Invalid):
    title = "Choose one of the cards."  # 422


class ConfirmationRequired(DomainError):
    code, title, status = "confirmation_required", "Your bank asks you to confirm the payment.", 200


@dataclass(frozen=True)
class CheckoutSummary:
    """What the page shows of a session: the price of a unit, and what is due today."""

    unit: Money
    interval: str
    per_unit: bool
    quantity: int
    code: str
    discount: Money
    tax: Money
    tax_percent: str
    credit: Money
    due: Money


def get_checkout(session_id: str) -> Checkout:
    """The checkout that the session is for. Raises ``NotFound``, also for a checkout that was instant."""
    mine = Checkout.objects.filter(customer__provider=Customer.Provider.LOCAL).select_related("plan", "customer")
    row = mine.filter(external_id=session_id).exclude(external_id="").exclude(url="").first()
    if row is None:
        raise NotFound
    return row


def get_session(checkout: Checkout) -> LocalObject:
    """The provider's session, which may be ahead of our checkout."""
    return LocalObject.objects.get(pk=checkout.external_id)


def session_trial_end(session: dict[str, Any]) -> datetime | None:
    """When the session's trial would end if it started now."""
    days = session["trial_period_days"]
    return clock.now() + timedelta(days=days) if days else None


def summarize_checkout(session: dict[str, Any]) -> CheckoutSummary:
    """What the session sells, and for how much today: nothing, where it begins with a trial."""
    bought = session["metadata"]
    price = objects.price_object(bought["price_id"])
    quantity, code = bought.get("quantity", 1), bought.get("promotion_code", "")
    amount = 0 if session["trial_period_days"] else int(price["unit_amount"]) * quantity
    discounts = [promotions.new_discount(code, clock.now())] if code else []
    customer = LocalObject.objects.get(pk=session["customer"]).data
    sums = invoicing.sum_up(amount, discounts, customer)
    money = partial(Money, currency=price["currency"])
    row = Price.objects.get(external_id=bought["price_id"])
    return CheckoutSummary(
        unit=money(int(price["unit_amount"])),
        interval=price["recurring"]["interval"],
        per_unit=row.is_per_unit,
        quantity=quantity,
        code=discounts[0]["coupon"]["name"] if discounts else "",
        discount=money(sums.discount),
        tax=money(sums.tax),
        tax_percent=settings.BILLING_LOCAL_TAX_PERCENT,
        credit=money(sums.total - sums.amount_due),
        due=money(sums.amount_due),
    )


@transaction.atomic
def enter_code(checkout: Checkout, code: str) -> None:
    """Take off what the promotion code gives. Raises ``Invalid`` for one that cannot be used, ``ProviderRefused`` for a session
    that is over."""
    session = objects.lock_object(checkout.external_id, "checkout.session")
    if session.data["status"] != "open":
        raise ProviderRefused("This checkout is over.")
    currency = objects.price_object(session.data["metadata"]["price_id"])["currency"]
    payer = checkout.customer.owner
    found = find_promotion_code(code, currency=currency, owner=payer)
    session.data["metadata"]["promotion_code"] = found.pk
    session.save(update_fields=["data"])
    Checkout.objects.filter(pk=checkout.pk).update(promotion_code=found.code)


def require_card(last4: str, *, is_confirmed: bool) -> None:
    """Raises ``ChooseACard`` for an unknown card, ``ConfirmationRequired`` for one whose bank asks."""
    if last4 not in TEST_CARDS:
        raise ChooseACard
    if last4 in lifecycle.AUTHENTICATED_LAST4 and not is_confirmed:
        raise ConfirmationRequired


@transaction.atomic
def pay_checkout(checkout: Checkout, *, last4: str, is_confirmed: bool = False) -> None:
    """Raises ``ChooseACard`` for an unknown card, ``ConfirmationRequired``, ``PaymentDeclined``, and ``ProviderRefused`` for a
    session that is over."""
    require_card(last4, is_confirmed=is_confirmed)
    session = objects.lock_object(checkout.external_id, "checkout.session")
    operations.pay_session(session, last4, clock.now())
    notify_workers(deliver_local_events, session.customer_id)


def refuse_confirmation() -> None:
    raise PaymentDeclined("The payment was not confirmed.")


@transaction.atomic
def abandon_checkout(checkout: Checkout) -> None:
    """Expire an open session."""
    session = objects.lock_object(checkout.external_id, "checkout.session")
    operations.expire_session(session, clock.now())
    notify_workers(deliver_local_events, session.customer_id)
