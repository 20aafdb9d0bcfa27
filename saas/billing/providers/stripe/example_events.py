"""Events as Stripe sends them, in both shapes that its API has had: what ``manage.py stripe_trigger`` posts.

``CURRENT`` keeps a subscription's period on its items and an invoice's subscription under ``parent``; ``LEGACY`` (before
2025-03-31.basil) keeps both at the top.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.crypto import get_random_string

from saas.billing.providers.interface import API_VERSION

Object = dict[str, Any]

CURRENT, LEGACY = API_VERSION, "2022-11-15"
STARTER_PRICE = "price_local_starter_1900"  # of the local catalogue, so that a subscription to it is one to a plan
_MONTH = 30 * 86_400
_ID_LENGTH = 24


class ExampleObject:
    """One event's object, and its values before. Everything it names has an id of its own, unless ``fields`` say one."""

    def __init__(self, event_type: str, *, at: int, version: str = CURRENT, livemode: bool = False) -> None:
        self.subject, _, self.verb = event_type.rpartition(".")
        self.at, self.is_legacy, self.livemode = at, version == LEGACY, livemode
        self.customer = random_stripe_id("cus")
        self.subscription = random_stripe_id("sub")

    def object(self) -> Object:
        kind, build = _BUILDERS.get(self.subject, (self.subject or self.verb, ExampleObject._anything))
        return {
            "object": kind,
            "created": self.at,
            "livemode": self.livemode,
            "metadata": {},
            **build(self),
            **_AFTER.get(f"{self.subject}.{self.verb}", {}),
        }

    def previous(self) -> Object:
        return dict(_BEFORE.get(f"{self.subject}.{self.verb}", {}))

    def _anything(self) -> Object:
        return {"id": random_stripe_id("obj"), "customer": self.customer}

    def _customer(self) -> Object:
        return {
            "id": self.customer,
            "email": f"{self.customer.lower()}@example.com",
            "name": "Jenny Rosen",
            "currency": "usd",
            "delinquent": False,
            "invoice_settings": {"default_payment_method": None},
        }

    def _price(self) -> Object:
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
        return {
            "id": random_stripe_id("price"),
            "active": True,
            "currency": "usd",
            "product": random_stripe_id("prod"),
            "type": "recurring",
            "recurring": recurring,
            "unit_amount": 1900,
            "unit_amount_decimal": "1900",
        }

    def _product(self) -> Object:
        return {
            "id": random_stripe_id("prod"),
            "active": True,
            "name": "Starter",
            "description": None,
            "default_price": None,
        }

    def _subscription(self) -> Object:
        period = {"current_period_start": self.at, "current_period_end": self.at + _MONTH}
        price = {**self._price(), "id": STARTER_PRICE, "object": "price"}
        line = {"id": random_stripe_id("si"), "object": "subscription_item", "price": price, "quantity": 1}
        return {
            "id": self.subscription,
            "customer": self.customer,
            "status": "active",
            "currency": "usd",
            "cancel_at_period_end": False,
            "canceled_at": None,
            "ended_at": None,
            "trial_end": None,
            "start_date": self.at,
            "latest_invoice": random_stripe_id("in"),
            "items": {"object": "list", "data": [line if self.is_legacy else {**line, **period}]},
            **(period if self.is_legacy else {}),
        }

    def _invoice(self) -> Object:
        link: Object = {"subscription": self.subscription}
        details = {"type": "subscription_details", "subscription_details": link}
        amounts = {"total": 1900, "subtotal": 1900, "amount_due": 1900, "amount_paid": 0, "amount_remaining": 1900}
        return {
            "id": random_stripe_id("in"),
            "customer": self.customer,
            "status": "open",
            "number": "EXAMPLE-0001",
            "currency": "usd",
            "billing_reason": "subscription_cycle",
            "hosted_invoice_url": "https://invoice.stripe.com/i/example",
            **amounts,
            **(link if self.is_legacy else {"parent": details}),
        }

    def _payment_method(self) -> Object:
        card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "funding": "credit"}
        return {"id": random_stripe_id("pm"), "customer": self.customer, "type": "card", "card": card}

    def _checkout_session(self) -> Object:
        return {
            "id": random_stripe_id("cs_test"),
            "customer": self.customer,
            "subscription": self.subscription,
            "client_reference_id": None,
            "mode": "subscription",
            "status": "complete",
            "payment_status": "paid",
            "amount_total": 1900,
            "currency": "usd",
        }

    def _charge(self) -> Object:
        paid = {
            "id": random_stripe_id("ch"),
            "customer": self.customer,
            "amount": 1900,
            "currency": "usd",
            "status": "succeeded",
        }
        return {**paid, "payment_intent": random_stripe_id("pi"), "paid": True, "refunded": False}

    def _payment_intent(self) -> Object:
        return {
            "id": random_stripe_id("pi"),
            "customer": self.customer,
            "amount": 1900,
            "currency": "usd",
            "status": "succeeded",
        }


_BUILDERS: Mapping[str, tuple[str, Callable[[ExampleObject], Object]]] = {
    "customer": ("customer", ExampleObject._customer),
    "customer.subscription": ("subscription", ExampleObject._subscription),
    "invoice": ("invoice", ExampleObject._invoice),
    "payment_method": ("payment_method", ExampleObject._payment_method),
    "checkout.session": ("checkout.session", ExampleObject._checkout_session),
    "price": ("price", ExampleObject._price),
    "product": ("product", ExampleObject._product),
    "charge": ("charge", ExampleObject._charge),
    "payment_intent": ("payment_intent", ExampleObject._payment_intent),
}
_PAID = {"status": "paid", "amount_paid": 1900, "amount_remaining": 0}
# What an event's type says of its object …
_AFTER: Mapping[str, Object] = {
    "customer.subscription.created": {"status": "incomplete"},
    "customer.subscription.deleted": {"status": "canceled"},
    "customer.subscription.paused": {"status": "paused"},
    "customer.subscription.trial_will_end": {"status": "trialing"},
    "invoice.created": {"status": "draft", "number": None},
    "invoice.upcoming": {"id": None, "status": "draft", "number": None},
    "invoice.paid": _PAID,
    "invoice.payment_succeeded": _PAID,
    "invoice.voided": {"status": "void"},
    "invoice.marked_uncollectible": {"status": "uncollectible"},
    "payment_method.detached": {"customer": None},
    "checkout.session.expired": {"status": "expired", "payment_status": "unpaid", "subscription": None},
    "checkout.session.async_payment_failed": {"payment_status": "unpaid"},
    "price.deleted": {"active": False},
    "product.deleted": {"active": False},
    "charge.failed": {"status": "failed", "paid": False},
    "charge.refunded": {"refunded": True, "amount_refunded": 1900},
    "payment_intent.payment_failed": {"status": "requires_payment_method"},
}
# … and of what it was before.
_BEFORE: Mapping[str, Object] = {
    "customer.updated": {"email": None},
    "customer.subscription.updated": {"status": "incomplete"},
    "customer.subscription.paused": {"status": "trialing"},
    "customer.subscription.resumed": {"status": "paused"},
    "invoice.updated": {"amount_due": 0},
    "payment_method.updated": {"card": {"exp_year": 2030}},
    "payment_method.automatically_updated": {"card": {"exp_year": 2030}},
    "payment_method.detached": {"customer": "cus_before"},
    "price.updated": {"active": False},
    "product.updated": {"active": False},
}
_VERBS = {
    "customer": "created updated deleted",
    "customer.subscription": "created updated deleted paused resumed trial_will_end pending_update_applied "
    "pending_update_expired",
    "invoice": "created finalized updated paid payment_succeeded payment_failed payment_action_required voided "
    "marked_uncollectible deleted upcoming",
    "payment_method": "attached updated automatically_updated detached",
    "checkout.session": "completed expired async_payment_succeeded async_payment_failed",
    "price": "created updated deleted",
    "product": "created updated deleted",
    "charge": "succeeded failed refunded",
    "payment_intent": "succeeded payment_failed",
}
EVENT_TYPES = tuple(f"{subject}.{verb}" for subject, verbs in _VERBS.items() for verb in verbs.split())


def example_event(
    event_type: str,
    *,
    at: int,
    version: str = CURRENT,
    livemode: bool = False,
    id: str = "",
    fields: Mapping[str, Any] | None = None,
) -> Object:
    """An event of any type; ``fields`` stand in its object in place of the example's own."""
    example = ExampleObject(event_type, at=at, version=version, livemode=livemode)
    thing = {
        name: value
        for name, value in {**example.object(), **(fields or {})}.items()
        if name != "id" or value is not None
    }
    previous = example.previous()
    return {
        "id": id or random_stripe_id("evt"),
        "object": "event",
        "type": event_type,
        "created": at,
        "livemode": livemode,
        "api_version": version,
        "pending_webhooks": 1,
        "request": {"id": random_stripe_id("req"), "idempotency_key": None},
        "data": {"object": thing, **({"previous_attributes": previous} if previous else {})},
    }


def random_stripe_id(prefix: str) -> str:
    return f"{prefix}_{get_random_string(_ID_LENGTH)}"
