"""Whole Stripe objects: every field that the installed SDK's types name, with values that fit together.

``CURRENT`` is the API version that our gateway speaks, ``LEGACY`` one from before 2025-03-31.basil, which kept a
subscription's period on the subscription and an invoice's subscription at the top. Decimals are strings, as in the JSON that
Stripe sends; the SDK makes a ``Decimal`` of them.
"""

import builtins
import sys
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import stripe
from stripe import billing_portal, checkout, test_helpers

from saas.billing.providers.interface import API_VERSION

Object = dict[str, Any]

CURRENT, LEGACY = API_VERSION, "2024-06-20"
AT = 1_790_000_000
MONTH = 30 * 86_400

# What the types name but Stripe sends only where it was asked for, or of one kind of object only.
_ON_REQUEST = {
    "deleted", "client_secret", "currency_options", "line_items", "sources", "subscriptions", "tax", "tax_ids", "tiers",
}  # fmt: skip


def price(
    id: str = "price_growth", amount: int | None = 7900, *, product: str | Object = "prod_growth", **fields: Any
) -> Object:
    """``amount`` in minor units, each month. ``fields``: ``interval``, ``usage_type``, and fields to replace."""
    recurring: Object = {
        **_complete(stripe.Price.Recurring),
        "interval": fields.pop("interval", "month"),
        "interval_count": 1,
        "usage_type": fields.pop("usage_type", "licensed"),
    }
    return {
        **_complete(stripe.Price),
        "id": id,
        "active": True,
        "currency": "usd",
        "product": product,
        "recurring": recurring,
        "type": "recurring",
        "tax_behavior": "unspecified",
        "unit_amount": amount,
        "unit_amount_decimal": None if amount is None else str(amount),
        **fields,
    }


def plan_from_price(price: Object) -> Object:
    """Return the same price in the older shape, which items still include."""
    recurring = price["recurring"] or {}
    alike = ("id", "active", "billing_scheme", "created", "currency", "livemode", "metadata", "nickname", "product")
    return {
        **_complete(stripe.Plan),
        **{name: price[name] for name in alike},
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring.get("interval", "month"),
        "interval_count": recurring.get("interval_count", 1),
        "usage_type": recurring.get("usage_type", "licensed"),
    }


def product(id: str = "prod_growth", **fields: Any) -> Object:
    return {**_complete(stripe.Product), "id": id, "active": True, "name": "Growth", "type": "service", **fields}


def subscription_item(price: Object, quantity: int | None = 1, *, id: str = "si_1", **fields: Any) -> Object:
    """One line of a subscription."""
    return {
        **_complete(stripe.SubscriptionItem),
        "id": id,
        "price": price,
        "plan": plan_from_price(price),
        "quantity": quantity,
        "subscription": "sub_1",
        "current_period_start": AT,
        "current_period_end": AT + MONTH,
        **fields,
    }


def subscription(*items: Object, version: str = CURRENT, **fields: Any) -> Object:
    """Return a subscription to ``items``; without any, to one of ``price()``."""
    id = fields.setdefault("id", "sub_1")
    lines = [{**line, "subscription": id} for line in (items or [subscription_item(price())])]
    whole = {
        **_complete(stripe.Subscription),
        "customer": "cus_1",
        "status": "active",
        "currency": lines[0]["price"]["currency"],
        "start_date": AT,
        "billing_cycle_anchor": AT,
        "latest_invoice": "in_1",
        "items": _list(lines, f"/v1/subscription_items?subscription={id}"),
        **fields,
    }
    return _legacy_subscription(whole) if version == LEGACY else whole


def _legacy_subscription(whole: Object) -> Object:
    lines = whole["items"]["data"]
    period = {name: lines[0][name] for name in ("current_period_start", "current_period_end")}
    older = [{name: value for name, value in line.items() if name not in period} for line in lines]
    only = {"plan": lines[0]["plan"], "quantity": lines[0]["quantity"]} if len(lines) == 1 else {}
    kept = {name: value for name, value in whole.items() if name not in _SINCE_BASIL}
    return {**kept, **period, **only, "discount": None, "items": {**whole["items"], "data": older}}


_SINCE_BASIL = {"billing_mode", "billing_schedules", "customer_account", "managed_payments", "presentment_details"}


def invoice(amount: int = 7900, *, version: str = CURRENT, **fields: Any) -> Object:
    """An open invoice of a subscription."""
    owed = ("amount_due", "amount_remaining", "subtotal", "total")
    whole = {
        **_complete(stripe.Invoice),
        "id": "in_1",
        "customer": "cus_1",
        "currency": "usd",
        "status": "open",
        "number": "WHOLE-0001",
        "billing_reason": "subscription_cycle",
        "hosted_invoice_url": "https://invoice.stripe.com/i/whole",
        **dict.fromkeys(owed, amount),
        "lines": _list([_invoice_line(amount)], "/v1/invoices/in_1/lines"),
        "parent": {
            **_complete(stripe.Invoice.Parent),
            "type": "subscription_details",
            "subscription_details": {
                **_complete(stripe.Invoice.Parent.SubscriptionDetails), "subscription": "sub_1", "metadata": {},
            },
        },
        **fields,
    }  # fmt: skip
    return _legacy_invoice(whole) if version == LEGACY else whole


def _invoice_line(amount: int) -> Object:
    of_price = {
        **_complete(stripe.InvoiceLineItem.Pricing.PriceDetails),
        "price": "price_growth",
        "product": "prod_growth",
    }
    pricing = {"type": "price_details", "price_details": of_price, "unit_amount_decimal": str(amount)}
    line = {**_complete(stripe.InvoiceLineItem), "id": "il_1", "currency": "usd", "amount": amount, "quantity": 1}
    return {**line, "invoice": "in_1", "pricing": pricing, "quantity_decimal": "1"}


def _legacy_invoice(whole: Object) -> Object:
    linked = whole["parent"]["subscription_details"]["subscription"]
    older = {
        name: value for name, value in whole.items() if name not in {"parent", "confirmation_secret", "total_taxes"}
    }
    paid = whole["status"] == "paid"
    return {**older, "subscription": linked, "charge": None, "payment_intent": None, "paid": paid, "tax": None}


def customer(**fields: Any) -> Object:
    settings = {**_complete(stripe.Customer.InvoiceSettings), "default_payment_method": None}
    named = {"id": "cus_1", "email": "kim@example.net", "name": "Kim Example", "metadata": {}, "preferred_locales": []}
    return {**_complete(stripe.Customer), **named, "invoice_settings": settings, **fields}


def tax_id(id: str = "txi_1", *, status: str = "pending", **fields: Any) -> Object:
    """``status`` is that of its verification."""
    checked = {**_complete(stripe.TaxId.Verification), "status": status}
    owner = {**_complete(stripe.TaxId.Owner), "type": "customer", "customer": "cus_1"}
    named = {"id": id, "customer": "cus_1", "country": "DE", "created": AT, "type": "eu_vat", "value": "DE136695976"}
    return {**_complete(stripe.TaxId), **named, "owner": owner, "verification": checked, **fields}


def payment_method(**fields: Any) -> Object:
    whole = _complete(stripe.PaymentMethod)
    own = {name: whole[name] for name in ("id", "object", "billing_details", "created", "customer", "livemode", "type")}
    card = {
        **_complete(stripe.PaymentMethod.Card),
        "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "funding": "credit", "country": "US",
    }  # fmt: skip
    return {
        **own, "id": "pm_1", "customer": "cus_1", "allow_redisplay": "unspecified", "customer_account": None,
        "metadata": {}, "radar_options": {}, "type": "card", "card": card, **fields,
    }  # fmt: skip


def coupon(id: str, **fields: Any) -> Object:
    """``fields``: ``percent_off`` or ``amount_off``, ``duration``, and what else differs."""
    return {**_complete(stripe.Coupon), "id": id, "valid": True, **fields}


def discount(id: str, coupon: Object | str, **fields: Any) -> Object:
    """``coupon`` whole, or its id, as API versions since clover show it."""
    return {
        **_complete(stripe.Discount),
        "id": id,
        "customer": "cus_1",
        "start": AT,
        "source": {"type": "coupon", "coupon": coupon},
        **fields,
    }


def invoice_payment(**fields: Any) -> Object:
    """Which payment paid ``in_1``."""
    payment = {"type": "payment_intent", "payment_intent": "pi_1"}
    named = {"id": "inpay_1", "invoice": "in_1", "currency": "usd", "status": "paid", "payment": payment}
    return {**_complete(stripe.InvoicePayment), **named, **fields}


def subscription_schedule(**fields: Any) -> Object:
    named = {"id": "sub_sched_1", "customer": "cus_1", "subscription": "sub_1", "status": "active"}
    return {**_complete(stripe.SubscriptionSchedule), **named, **fields}


def refund(amount: int, **fields: Any) -> Object:
    named = {"id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "currency": "usd", "status": "succeeded"}
    return {**_complete(stripe.Refund), **named, "amount": amount, "metadata": {}, **fields}


def credit_note(amount: int, **fields: Any) -> Object:
    named = {"id": "cn_1", "invoice": "in_1", "customer": "cus_1", "currency": "usd", "status": "issued"}
    return {**_complete(stripe.CreditNote), **named, "amount": amount, "total": amount, **fields}


def dispute(amount: int, **fields: Any) -> Object:
    named = {"id": "du_1", "charge": "ch_1", "payment_intent": "pi_1", "currency": "usd", "reason": "fraudulent"}
    return {**_complete(stripe.Dispute), **named, "amount": amount, "status": "needs_response", **fields}


def early_fraud_warning(**fields: Any) -> Object:
    named = {"id": "issfr_1", "charge": "ch_1", "payment_intent": "pi_1", "fraud_type": "made_with_stolen_card"}
    return {**_complete(stripe.radar.EarlyFraudWarning), **named, "actionable": True, **fields}


def balance_transaction(amount: int) -> Object:
    named = {"id": "cbtxn_1", "customer": "cus_1", "currency": "usd", "type": "adjustment"}
    return {**_complete(stripe.CustomerBalanceTransaction), **named, "amount": amount}


def checkout_session(**fields: Any) -> Object:
    named = {"id": "cs_1", "customer": "cus_1", "currency": "usd", "mode": "subscription", "ui_mode": "hosted_page"}
    money = {"amount_subtotal": 7900, "amount_total": 7900}
    state = {"status": "open", "payment_status": "unpaid", "url": "https://checkout.stripe.com/c/pay/cs_1"}
    return {**_complete(checkout.Session), **named, **money, **state, "metadata": {}, **fields}


def portal_session(**fields: Any) -> Object:
    named = {"id": "bps_1", "customer": "cus_1", "url": "https://billing.stripe.com/p/session/bps_1"}
    return {**_complete(billing_portal.Session), **named, **fields}


def list_page(rows: list[Object], url: str, *, has_more: bool = False) -> Object:
    """Return one page of a list call's answer."""
    return _list(rows, url, has_more=has_more)


def event(type: str, thing: Object, *, id: str = "evt_1", at: int = AT, version: str = CURRENT, **data: Any) -> Object:
    """Return an event. ``data``: ``previous_attributes`` and the like, next to the object."""
    return {
        **_complete(stripe.Event),
        "id": id,
        "type": type,
        "created": at,
        "api_version": version,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {"object": thing, **data},
    }


def _list(rows: list[Object], url: str, *, has_more: bool = False) -> Object:
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


# ── From the SDK's types ─────────────────────────────────────────────────────────────────────────────────────────────


def _complete(kind: type) -> Object:
    """Every field of a resource, empty where it may be: null, nothing, or the first of the values that are known."""
    return {name: _empty(name, hint) for name, hint in fields_of(kind).items() if name not in _ON_REQUEST}


@cache
def fields_of(kind: type) -> dict[str, Any]:
    """The fields that the SDK names for a resource, with their types."""
    hints = get_type_hints(kind, localns=_Names(kind))
    return {name: hint for name, hint in hints.items() if name != "OBJECT_NAME" and not name.startswith("_")}


class _Names(dict[str, Any]):
    """The SDK imports most resources for its type checks only: what a module does not have is looked up in the package."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.known = {**vars(builtins), **vars(sys.modules[kind.__module__])}

    def __missing__(self, name: str) -> Any:
        if name in self.known:
            raise KeyError(name)
        found = (getattr(module, name, None) for module in (stripe, checkout, billing_portal, test_helpers))
        return next((resource for resource in found if resource is not None), stripe.StripeObject)


def _empty(name: str, hint: Any) -> Any:
    options, origin = get_args(hint), get_origin(hint)
    if type(None) in options:
        return None
    if origin is Literal:
        return options[0]
    if origin is list:
        return []
    if options and not isinstance(origin, type):  # a union: the first of it, and of a reference its id
        return _empty(name, options[0])
    return _of_type(name, origin or hint)


def _of_type(name: str, kind: type) -> Any:
    if issubclass(kind, stripe.ListObject):
        return _list([], f"/v1/{name}")
    if issubclass(kind, stripe.StripeObject):
        return _complete(kind) if "." in kind.__qualname__ else {}
    if kind is int:
        return AT if name in {"created", "updated", "expires_at"} else 0
    plain: Mapping[type, Any] = {bool: False, str: name, float: 0.0, Decimal: "0", dict: {}}
    return plain[kind]
