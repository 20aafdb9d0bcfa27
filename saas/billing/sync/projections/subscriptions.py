"""Projection of a subscription: a function of all its stored events, in whatever order and how often they arrived.

Pure: no database, no network, no clock. ``saas.billing.sync.upsert`` writes the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from saas.billing.models import Subscription
from saas.billing.sync import stripe_objects
from saas.billing.sync.event_order import StoredEvent, order_events
from saas.security.untrusted_json import JSONObject, as_count, as_object, as_text, as_time

_STATUSES = ["incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"]
_RANKS = {status: rank for rank, status in enumerate(_STATUSES)}


@dataclass(frozen=True)
class SubscriptionItem:
    """One item of a subscription. ``named_plan_id`` comes from the metadata of its price or product."""

    id: str
    price_id: str
    product_id: str
    named_plan_id: str
    quantity: int


@dataclass(frozen=True)
class SubscriptionState:
    """A subscription as one snapshot shows it, in either API shape."""

    status: str
    customer_id: str
    items: tuple[SubscriptionItem, ...]
    currency: str
    monthly_cents: int
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    trial_end: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    started_at: datetime | None

    @property
    def price_ids(self) -> tuple[str, ...]:
        return tuple(item.price_id for item in self.items if item.price_id)

    @property
    def is_earning(self) -> bool:
        return self.status in Subscription.EARNING

    @property
    def earning_cents(self) -> int:
        return self.monthly_cents if self.is_earning else 0


@dataclass(frozen=True)
class SubscriptionChange:
    """One line of the ledger. ``delta_cents`` and ``monthly_cents`` are a month's."""

    kind: str
    at: datetime
    currency: str
    delta_cents: int
    monthly_cents: int
    event_id: str


@dataclass(frozen=True)
class SubscriptionProjection:
    """``items_before`` are the items of earlier times, the latest first."""

    state: SubscriptionState
    items_before: tuple[tuple[SubscriptionItem, ...], ...]
    past_due_since: datetime | None
    changed_at: datetime
    ambiguous: bool
    changes: tuple[SubscriptionChange, ...]


def project_subscription(events: Sequence[StoredEvent]) -> SubscriptionProjection | None:
    """The subscription of ``events``; ``None`` if no event shows it.

    What has ended stays ended: a terminal status is only replaced by a terminal one.
    """
    ordered, is_ambiguous = order_events(
        events, facets=subscription_state, rank=lambda it: _RANKS.get(as_text(it.get("status")), len(_RANKS))
    )
    history = _SubscriptionHistory()
    for event in ordered:
        history.apply(event)
    return history.projection(is_ambiguous)


class _SubscriptionHistory:
    """The state of a subscription while its events are applied."""

    def __init__(self) -> None:
        self.state: SubscriptionState | None = None
        self.items_before: list[tuple[SubscriptionItem, ...]] = []
        self.changes: list[SubscriptionChange] = []
        self.past_due_since: datetime | None = None
        self.changed_at: datetime | None = None
        self.has_earned = False

    def apply(self, event: StoredEvent) -> None:
        state = _state(event, self.state)
        at = as_time(event.created)
        if at is None or not state.status:
            return
        if self.state and self.state.status in Subscription.TERMINAL and state.status not in Subscription.TERMINAL:
            return
        steps = _revenue_steps(self.state, state, self.has_earned)
        steps += [_Step(kind, state.currency, 0, state.earning_cents) for kind in _other_kinds(self.state, state)]
        for step in steps:  # in each currency the deltas add up to the recurring revenue
            self.changes.append(SubscriptionChange(step.kind, at, step.currency, step.delta, step.cents, event.id))
        self.has_earned = self.has_earned or state.is_earning
        if state.status != "past_due":
            self.past_due_since = None
        elif self.past_due_since is None:
            self.past_due_since = at
        if self.state and self.state.items != state.items:
            self.items_before.insert(0, self.state.items)
        self.state, self.changed_at = state, at

    def projection(self, is_ambiguous: bool) -> SubscriptionProjection | None:
        if self.state is None or self.changed_at is None:
            return None
        return SubscriptionProjection(
            self.state,
            tuple(self.items_before),
            self.past_due_since,
            self.changed_at,
            is_ambiguous,
            tuple(self.changes),
        )


@dataclass(frozen=True)
class _Step:
    kind: str
    currency: str
    delta: int
    cents: int  # a month, afterwards


def _revenue_steps(before: SubscriptionState | None, after: SubscriptionState, has_earned: bool) -> list[_Step]:
    if before is None or not before.is_earning:
        kind = "reactivated" if has_earned else "new"
        return [_Step(kind, after.currency, after.earning_cents, after.earning_cents)] if after.is_earning else []
    if not after.is_earning:
        return [_Step("canceled", before.currency, -before.earning_cents, 0)]
    if before.currency != after.currency:
        left = _Step("canceled", before.currency, -before.earning_cents, 0)
        return [left, _Step("reactivated", after.currency, after.earning_cents, after.earning_cents)]
    delta = after.earning_cents - before.earning_cents
    kind = "upgrade" if delta > 0 else "downgrade"
    return [_Step(kind, after.currency, delta, after.earning_cents)] if delta else []


def _other_kinds(before: SubscriptionState | None, after: SubscriptionState) -> list[str]:
    """The kinds of change that are entered in the ledger although they change no revenue."""
    old = before.status if before else ""
    kinds = {
        "trial_started": after.status == "trialing" != old,
        "trial_ended": old == "trialing" != after.status and not after.is_earning,
        "renewal": before is not None and _is_renewed(before, after),
        "past_due": after.status == "past_due" != old,
        "recovered": old == "past_due" and after.status == "active",
    }
    return [kind for kind, happened in kinds.items() if happened]


def _is_renewed(before: SubscriptionState, after: SubscriptionState) -> bool:
    """Another period began at the end of the last one. A change of interval starts a period, too, but before that."""
    old_end, end, start = before.current_period_end, after.current_period_end, after.current_period_start
    if not (before.is_earning and after.is_earning and old_end and end):
        return False
    return end > old_end and (start is None or start >= old_end)


def _state(event: StoredEvent, before: SubscriptionState | None) -> SubscriptionState:
    state = subscription_state(event.object)
    if event.has_verb("deleted"):
        state = replace(state, status="canceled", ended_at=state.ended_at or as_time(event.created))
    if before and not state.price_ids:  # a snapshot without its lines: the items before still hold
        state = replace(
            before,
            status=state.status,
            cancel_at_period_end=state.cancel_at_period_end,
            cancel_at=state.cancel_at,
            canceled_at=state.canceled_at,
            ended_at=state.ended_at,
        )
    return state


def subscription_state(snapshot: JSONObject) -> SubscriptionState:
    """Read one snapshot, in either API shape."""
    lines = stripe_objects.subscription_lines(snapshot)
    currency = snapshot.get("currency") or (stripe_objects.line_price(lines[0]).get("currency") if lines else "")
    return SubscriptionState(
        status=as_text(snapshot.get("status"), 64),
        customer_id=stripe_objects.id_of(snapshot.get("customer")),
        items=tuple(_item(line, is_whole=line is snapshot) for line in lines),
        currency=as_text(currency, 8),
        monthly_cents=stripe_objects.monthly_cents(snapshot),
        current_period_start=stripe_objects.period_start(snapshot),
        current_period_end=stripe_objects.period_end(snapshot),
        cancel_at_period_end=snapshot.get("cancel_at_period_end") is True,
        cancel_at=as_time(snapshot.get("cancel_at")),
        trial_end=as_time(snapshot.get("trial_end")),
        canceled_at=as_time(snapshot.get("canceled_at")),
        ended_at=as_time(snapshot.get("ended_at")),
        started_at=as_time(snapshot.get("start_date")) or as_time(snapshot.get("created")),
    )


def _item(line: JSONObject, *, is_whole: bool) -> SubscriptionItem:
    """``is_whole``: the line is the subscription itself, its only item before 2018."""
    price = stripe_objects.line_price(line)
    return SubscriptionItem(
        id="" if is_whole else stripe_objects.id_of(line),
        price_id=stripe_objects.id_of(price),
        product_id=stripe_objects.id_of(price.get("product")),
        named_plan_id=stripe_objects.metadata_plan_id(price)
        or stripe_objects.metadata_plan_id(as_object(price.get("product"))),
        quantity=as_count(line.get("quantity"), 1),
    )
