"""A Stripe over HTTP that refuses what Stripe's documentation says it refuses, with Stripe's own error bodies.

What it accepts it answers as a ``StandIn`` does. Requests are checked against the parameter types of the SDK: one that does
not fit is refused, as by Stripe.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from saas.billing.tests import stripe_params
from saas.billing.tests.stripe_stand_in import Asked, StandIn

Answer = tuple[int, dict[str, Any]]


def refusal(message: str, *, status: int = 400, type: str = "invalid_request_error", **fields: str) -> Answer:
    return status, {"error": {"type": type, "message": message, **fields}}


BROKEN = refusal("An unknown error occurred", status=500, type="api_error")
SUBSCRIPTION_MISSING = refusal("No such subscription", status=404, code="resource_missing")
SUBSCRIPTION_CANCELED = refusal("A canceled subscription can only update its metadata.")
CARD_NEEDS_AUTHENTICATION = refusal(
    "Your card was declined. This transaction requires authentication.",
    status=402,
    type="card_error",
    code="card_declined",
    decline_code="authentication_required",
)
SCHEDULE_MANAGES = (
    "The subscription is managed by the subscription schedule `{schedule}`, and updating any {what} directly is "
    "not allowed. Please update the schedule instead."
)
_MANAGED = {"cancel_at_period_end": "cancelation behavior", "cancel_at": "cancelation behavior", "items[0][id]": "item"}


@dataclass
class FakeStripe(StandIn):
    """``missing_customers`` were deleted or are of the other mode; ``schedules`` maps subscriptions to their schedules;
    ``lost`` counts answers that are acted upon and never arrive."""

    missing_customers: set[str] = field(default_factory=set)
    prices: set[str] | None = None
    schedules: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    stored: dict[str, tuple[dict[str, str], Answer]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        key = asked.headers.get("Idempotency-Key", "")
        if key in self.stored and asked.method == "POST":
            self.asked.append(asked)
            fields, stored = self.stored[key]
            return stored if fields == asked.fields else _mismatch(key)
        if refused := self._refusal(asked):
            self.asked.append(asked)
            return refused
        if asked.path.startswith("/v1/subscription_schedules/") and asked.path.endswith("/release"):
            self.schedules = {sub: it for sub, it in self.schedules.items() if it != asked.path.split("/")[3]}
        given = super().answer(asked)
        if key and asked.method == "POST" and given[0] not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
            self.stored[key] = (asked.fields, given)  # also an error of its own: that is replayed for a day
        return given

    def _refusal(self, asked: Asked) -> Answer | None:
        if faults := stripe_params.faults(f"{asked.method} {asked.path}", asked.fields):
            return refusal(faults[0], code="parameter_unknown")
        *_, last = asked.path.split("/")
        customer = asked.fields.get("customer") or (last if asked.path == f"/v1/customers/{last}" else "")
        if customer in self.missing_customers:
            return refusal(f"No such customer: '{customer}'", code="resource_missing", param="customer")
        for name, price in asked.fields.items():
            if name.endswith("[price]") and self.prices is not None and price not in self.prices:
                return refusal(f"No such price: '{price}'", code="resource_missing", param=name)
        return self._schedule_refusal(asked, last)

    def _schedule_refusal(self, asked: Asked, subscription: str) -> Answer | None:
        schedule = self.schedules.get(subscription)
        managed = next((what for name, what in _MANAGED.items() if name in asked.fields), "")
        if schedule and asked.path == f"/v1/subscriptions/{subscription}" and managed:
            return refusal(SCHEDULE_MANAGES.format(schedule=schedule, what=managed))
        return None


def _mismatch(key: str) -> Answer:
    message = (
        f"Keys for idempotent requests can only be used with the same parameters they were first used with. ({key})"
    )
    return refusal(message, type="idempotency_error")
