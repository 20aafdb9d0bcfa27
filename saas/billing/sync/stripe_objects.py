"""Reading the provider's objects, in any API version, from any sender.

An event keeps the API version of its endpoint, so a value is looked for in its old and its new place. A value
of the wrong type counts as not there: an unsigned event of a developer may hold anything.
"""

from collections.abc import Iterator
from datetime import datetime

from saas.security.untrusted_json import JSONObject, as_object, as_objects, as_text, as_time


def items(value: object) -> list[JSONObject]:
    """The objects of a list, or of the ``data`` of a list object."""
    return as_objects(value.get("data") if isinstance(value, dict) else value)


def id_of(value: object) -> str:
    """The id of a reference, which is a string or, expanded, the object itself."""
    return as_text(as_object(value).get("id") if isinstance(value, dict) else value)


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────────────────


def subscription_lines(subscription: JSONObject) -> list[JSONObject]:
    """What is subscribed to. Events from before 2018 may have only ``plan`` and ``quantity``, on the subscription."""
    if found := items(subscription.get("items")):
        return found
    return [subscription] if isinstance(subscription.get("plan"), dict) else []


def line_price(line: JSONObject) -> JSONObject:
    """The price of one line: ``price``, or ``plan`` in the older shape."""
    return as_object(line.get("price")) or as_object(line.get("plan"))


def line_price_id(line: JSONObject) -> str:
    """The id of one line's price, which may be only named."""
    return id_of(line.get("price")) or id_of(line.get("plan"))


def has_all_lines(subscription: JSONObject) -> bool:
    """Whether a snapshot shows every item: events show the first ten."""
    return as_object(subscription.get("items")).get("has_more") is not True


def metadata_plan_id(thing: JSONObject) -> str:
    """``metadata.plan_id`` of a price or product: the id of one of our plans."""
    return as_text(as_object(thing.get("metadata")).get("plan_id"), 32)


TRIAL_ENDED_WITHOUT_CARD = "trial_end_without_payment_method"


def pause_reason(subscription: JSONObject) -> str:
    """Why it is paused: said since 2026-09-30.endive; empty where it is not paused, or not said."""
    paused = as_object(as_object(subscription.get("status_details")).get("paused"))
    reason = as_text(as_object(paused.get("subscription")).get("type"), 64)
    return reason if subscription.get("status") == "paused" else ""


def needs_method_after_trial(subscription: JSONObject) -> bool:
    """Whether it does not go on after its trial without a payment method; by default an invoice is sent or charged then."""
    end_behavior = as_object(as_object(subscription.get("trial_settings")).get("end_behavior"))
    return as_text(end_behavior.get("missing_payment_method"), 64) in {"pause", "cancel"}


def period_end(subscription: JSONObject) -> datetime | None:
    """On the subscription until 2025-03-31.basil, since then on its items: the earliest, as a cancellation resolves."""
    if found := as_time(subscription.get("current_period_end")):
        return found
    ends = [end for line in subscription_lines(subscription) if (end := as_time(line.get("current_period_end")))]
    return min(ends, default=None)


def period_start(subscription: JSONObject) -> datetime | None:
    """Where ``period_end`` is: the earliest."""
    if found := as_time(subscription.get("current_period_start")):
        return found
    starts = [
        start for line in subscription_lines(subscription) if (start := as_time(line.get("current_period_start")))
    ]
    return min(starts, default=None)


# ── Invoices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def invoice_subscription(invoice: JSONObject) -> str:
    """The subscription that an invoice is for: at the top, or since basil under ``parent``."""
    details = as_object(as_object(invoice.get("parent")).get("subscription_details"))
    return id_of(invoice.get("subscription")) or id_of(details.get("subscription"))


def invoice_status(invoice: JSONObject) -> str:
    """``status``; before 2018-11 the flags ``paid``, ``forgiven`` and ``closed`` said it."""
    if status := as_text(invoice.get("status"), 64):
        return status
    flags: Iterator[tuple[str, str]] = iter((("paid", "paid"), ("forgiven", "uncollectible"), ("closed", "void")))
    return next((status for flag, status in flags if invoice.get(flag) is True), "open")
