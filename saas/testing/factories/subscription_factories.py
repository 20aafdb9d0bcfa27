"""Subscription events of the payment provider, for tests of the ledger and of revenue."""

from typing import Any

from saas.testing.factories import event_factories

DAY = 86_400
START = 1_767_225_600  # 2026-01-01T00:00:00Z


def subscription_event(
    subscription: str, status: str, day: int, *, cents: int = 1900, customer: str = "cus_1", **more: Any
) -> dict[str, Any]:
    """Return an event ``day`` days after ``START``. ``more``: ``currency``, ``quantity``, ``interval``, ``verb``, and fields."""
    kind = "deleted" if status == "canceled" else "created" if day == 0 else "updated"
    verb = more.pop("verb", kind)
    currency, recurring = more.pop("currency", "usd"), {"interval": more.pop("interval", "month"), "interval_count": 1}
    price = {"id": f"price_{cents}", "unit_amount": cents, "currency": currency, "recurring": recurring}
    item = {"id": f"si_{subscription}", "price": price, "quantity": more.pop("quantity", 1)}
    shown = {
        "id": subscription,
        "object": "subscription",
        "customer": customer,
        "status": status,
        "currency": currency,
        "items": {"object": "list", "data": [item]},
        **more,
    }
    id = f"evt_{subscription}_{day}_{status}_{verb}"
    return event_factories.event(id, f"customer.subscription.{verb}", object=shown, created=START + day * DAY)
