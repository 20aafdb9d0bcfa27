"""Projection of a customer's discounts: those of the customer themselves, which count for every subscription without one of
its own, and those of their subscriptions, which subscriptions name by id only."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from saas.billing.sync import stripe_objects
from saas.billing.sync.discounts import CustomerDiscounts, discount_coupon, hides_currencies, read_discount
from saas.billing.sync.event_order import StoredEvent
from saas.security.untrusted_json import JSONObject, as_object, as_objects, as_text, as_time

_COUPON_FIELDS = ("id", "duration", "percent_off", "amount_off", "currency", "currency_options", "applies_to")
_SCOPES = ("subscription", "subscription_item", "invoice", "invoice_item")
FindCoupon = Callable[[str], JSONObject]


def project_customer_discounts(
    discount_events: Sequence[StoredEvent], customer_events: Sequence[StoredEvent], find_coupon: FindCoupon
) -> list[JSONObject]:
    """One row for each discount, as JSON: ``id``, ``start``, ``end``, ``coupon`` (null where nothing says what it takes off),
    ``is_customers``, and the ``events`` that began, changed and ended it, each as ``[created, id]``."""
    by_id: dict[str, list[StoredEvent]] = defaultdict(list)
    for event in sorted(discount_events, key=lambda it: (it.created, it.has_verb("deleted"), it.id)):
        by_id[stripe_objects.id_of(event.object)].append(event)
    rows = [_row(id, events, find_coupon) for id, events in by_id.items()]
    shown = as_object(customer_events[-1].object.get("discount")) if customer_events else {}
    if shown and stripe_objects.id_of(shown) not in by_id:
        rows.append(_values(shown, find_coupon))
    return sorted(rows, key=lambda row: str(row["id"]))


def _row(id: str, events: Sequence[StoredEvent], find_coupon: FindCoupon) -> JSONObject:
    last = events[-1]
    end = last.created if last.has_verb("deleted") else last.object.get("end")
    return {
        **_values(last.object, find_coupon),
        "end": end,
        "events": [[event.created, event.id] for event in events],
    }


def _values(discount: JSONObject, find_coupon: FindCoupon) -> JSONObject:
    coupon = _whole_coupon(discount_coupon(discount), find_coupon)
    return {
        "id": stripe_objects.id_of(discount),
        "start": discount.get("start"),
        "end": discount.get("end"),
        "coupon": {name: coupon.get(name) for name in _COUPON_FIELDS} if coupon.get("duration") else None,
        "is_customers": not any(discount.get(scope) for scope in _SCOPES),
        "events": [],
    }


def _whole_coupon(shown: object, find_coupon: FindCoupon) -> JSONObject:
    """With its amounts in other currencies, which discounts do not show."""
    coupon = as_object(shown)
    if coupon and not hides_currencies(coupon):
        return coupon
    stored = find_coupon(stripe_objects.id_of(shown))
    return {**coupon, "currency_options": stored.get("currency_options")} if coupon else stored


def customer_discounts(rows: Sequence[Mapping[str, Any]] | None) -> CustomerDiscounts:
    """Read the rows of ``project_customer_discounts``, as they are stored."""
    found = [(row, read_discount(dict(row))) for row in as_objects(rows)]
    of_customer = [(row, discount) for row, discount in found if row.get("is_customers")]
    moments = {
        (at, as_text(event_id))
        for row, _ in of_customer
        for created, event_id in row.get("events", [])
        if (at := as_time(created))
    }
    return CustomerDiscounts(
        known={discount.id: discount for _, discount in found if discount},
        of_customer=tuple(discount for _, discount in of_customer if discount),
        unread=tuple(as_text(row.get("id")) for row, discount in of_customer if discount is None),
        moments=tuple(sorted(moments)),
    )
