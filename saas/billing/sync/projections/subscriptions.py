"""Projection of a subscription: a function of all its stored events, in whatever order and how often they arrived.

Pure: no database, no network, no clock. ``saas.billing.sync.upsert`` writes the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from saas.billing.models import Subscription
from saas.billing.sync import stripe_objects
from saas.billing.sync.discounts import NO_DISCOUNTS, CustomerDiscounts, shown_discounts
from saas.billing.sync.event_order import StoredEvent, order_events
from saas.billing.sync.recurring_revenue import monthly_amount
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
    faults: tuple[str, ...]  # what of it cannot be read or counted, a sentence each
    hides_amounts: bool  # whether the provider shows more of that where it is asked
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    trial_end: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    started_at: datetime | None
    default_payment_method: str = ""
    keeps_revenue: bool = False  # on trial again while it was paid for: free days that were given, no churn

    @property
    def price_ids(self) -> tuple[str, ...]:
        return tuple(item.price_id for item in self.items if item.price_id)

    @property
    def is_earning(self) -> bool:
        return self.status in Subscription.EARNING or self.keeps_revenue

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
    faults_event_id: str  # since which event the state has its faults
    items_event_id: str  # since which event it has its items
    changes: tuple[SubscriptionChange, ...]


def project_subscription(
    events: Sequence[StoredEvent], discounts: CustomerDiscounts = NO_DISCOUNTS
) -> SubscriptionProjection | None:
    """The subscription of ``events``; ``None`` if no event shows it. ``discounts`` are those of its customer.

    What has ended stays ended: a terminal status is only replaced by a terminal one.
    """
    ordered, is_ambiguous = order_events(
        _with_all_currencies(events),
        facets=subscription_state,
        rank=lambda it: _RANKS.get(as_text(it.get("status")), len(_RANKS)),
    )
    known = discounts.including(one for event in ordered for one in shown_discounts(event.object))
    history = _SubscriptionHistory(known)
    for event in ordered:
        history.apply_discounts(before=as_time(event.created))
        history.apply(event)
    history.apply_discounts(before=None)
    return history.projection(is_ambiguous)


def _with_all_currencies(events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    """The amounts of a price in other currencies are only in answers that were asked for them: they count for all events."""
    options: dict[str, object] = {}
    for event in sorted(events, key=lambda it: it.created):
        for line in stripe_objects.subscription_lines(event.object):
            if shown := stripe_objects.line_price(line).get("currency_options"):
                options[stripe_objects.line_price_id(line)] = shown
    return [replace(event, object=_with_currencies(event.object, options)) for event in events] if options else events


def _with_currencies(subscription: JSONObject, options: Mapping[str, object]) -> JSONObject:
    shown = subscription.get("items")
    lines = [_line_with_currencies(line, options) for line in stripe_objects.items(shown)]
    return {**subscription, "items": {**shown, "data": lines} if isinstance(shown, dict) else lines}


def _line_with_currencies(line: JSONObject, options: Mapping[str, object]) -> JSONObject:
    price, found = as_object(line.get("price")), options.get(stripe_objects.line_price_id(line))
    is_hiding = bool(price) and not price.get("currency_options")
    return {**line, "price": {**price, "currency_options": found}} if found and is_hiding else line


class _SubscriptionHistory:
    """The state of a subscription while its events are applied."""

    def __init__(self, discounts: CustomerDiscounts) -> None:
        self.discounts = discounts
        self.moments = list(discounts.moments)
        self.shown: StoredEvent | None = None
        self.state: SubscriptionState | None = None
        self.faults_event_id = self.items_event_id = ""
        self.items_before: list[tuple[SubscriptionItem, ...]] = []
        self.changes: list[SubscriptionChange] = []
        self.past_due_since: datetime | None = None
        self.changed_at: datetime | None = None
        self.has_earned = False

    def apply(self, event: StoredEvent) -> None:
        at = as_time(event.created)
        state = _state(event, self.state, at, self.discounts)
        if at is None or not state.status:
            return
        if self.state and self.state.status in Subscription.TERMINAL and state.status not in Subscription.TERMINAL:
            return
        self.shown = event
        self._enter(_with_kept_revenue(self.state, state), at, event.id)

    def apply_discounts(self, *, before: datetime | None) -> None:
        """Enter what the customer's discounts that began or ended ``before`` the next event changed."""
        while self.moments and (before is None or self.moments[0][0] < before):
            at, event_id = self.moments.pop(0)
            if self.shown and self.state and self.state.status not in Subscription.TERMINAL:
                state = _state(self.shown, self.state, at, self.discounts)
                if state.monthly_cents != self.state.monthly_cents:
                    self._enter(replace(self.state, monthly_cents=state.monthly_cents), at, event_id)

    def _enter(self, state: SubscriptionState, at: datetime, event_id: str) -> None:
        steps = _revenue_steps(self.state, state, self.has_earned)
        steps += [_Step(kind, state.currency, 0, state.earning_cents) for kind in _other_kinds(self.state, state)]
        for step in steps:  # in each currency the deltas add up to the recurring revenue
            self.changes.append(SubscriptionChange(step.kind, at, step.currency, step.delta, step.cents, event_id))
        self.has_earned = self.has_earned or state.is_earning
        if state.status != "past_due":
            self.past_due_since = None
        elif self.past_due_since is None:
            self.past_due_since = at
        if self.state and self.state.items != state.items:
            self.items_before.insert(0, self.state.items)
        if self.state is None or self.state.items != state.items:
            self.items_event_id = event_id
        if self.state is None or self.state.faults != state.faults:
            self.faults_event_id = event_id
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
            self.faults_event_id,
            self.items_event_id,
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
        "trial_ended": old == "trialing" != after.status
        and before is not None
        and not before.is_earning
        and not after.is_earning,
        "renewal": before is not None and _is_renewed(before, after),
        "past_due": after.status == "past_due" != old,
        "recovered": old == "past_due" and after.status == "active",
    }
    return [kind for kind, happened in kinds.items() if happened]


def _with_kept_revenue(before: SubscriptionState | None, after: SubscriptionState) -> SubscriptionState:
    return replace(after, keeps_revenue=after.status == "trialing" and before is not None and before.is_earning)


def _is_renewed(before: SubscriptionState, after: SubscriptionState) -> bool:
    """Another period began at the end of the last one. A change of interval starts a period, too, but before that."""
    old_end, end, start = before.current_period_end, after.current_period_end, after.current_period_start
    if not (before.is_earning and after.is_earning and old_end and end):
        return False
    return end > old_end and (start is None or start >= old_end)


def _state(
    event: StoredEvent, before: SubscriptionState | None, at: datetime | None, discounts: CustomerDiscounts
) -> SubscriptionState:
    state = subscription_state(event.object, at=at, discounts=discounts)
    if event.has_verb("deleted"):
        state = replace(state, status="canceled", ended_at=state.ended_at or as_time(event.created))
    if before and not state.price_ids:  # a snapshot without its lines: the items before still hold
        state = replace(
            before,
            status=state.status,
            faults=state.faults or before.faults,
            hides_amounts=state.hides_amounts or before.hides_amounts,
            cancel_at_period_end=state.cancel_at_period_end,
            cancel_at=state.cancel_at,
            canceled_at=state.canceled_at,
            ended_at=state.ended_at,
            default_payment_method=state.default_payment_method,
        )
    return state


def subscription_state(
    snapshot: JSONObject, *, at: datetime | None = None, discounts: CustomerDiscounts = NO_DISCOUNTS
) -> SubscriptionState:
    """Read one snapshot, in either API shape, as of the time ``at``."""
    lines = stripe_objects.subscription_lines(snapshot)
    currency = snapshot.get("currency") or (stripe_objects.line_price(lines[0]).get("currency") if lines else "")
    status, amount = as_text(snapshot.get("status"), 64), monthly_amount(snapshot, at=at, discounts=discounts)
    unknown = () if status in _RANKS else (f"status {status or 'nothing'} is unknown: it gives no access",)
    paused = _collection_pause(snapshot)
    return SubscriptionState(
        status=status,
        customer_id=stripe_objects.id_of(snapshot.get("customer")),
        items=tuple(_item(line, is_whole=line is snapshot) for line in lines),
        currency=as_text(currency, 8),
        monthly_cents=amount.cents,
        faults=(*unknown, *paused, *amount.faults),
        hides_amounts=amount.hides_amounts,
        current_period_start=stripe_objects.period_start(snapshot),
        current_period_end=stripe_objects.period_end(snapshot),
        cancel_at_period_end=snapshot.get("cancel_at_period_end") is True,
        cancel_at=as_time(snapshot.get("cancel_at")),
        trial_end=as_time(snapshot.get("trial_end")),
        canceled_at=as_time(snapshot.get("canceled_at")),
        ended_at=as_time(snapshot.get("ended_at")),
        started_at=as_time(snapshot.get("start_date")) or as_time(snapshot.get("created")),
        default_payment_method=stripe_objects.id_of(snapshot.get("default_payment_method"))
        or stripe_objects.id_of(snapshot.get("default_source")),
    )


def _collection_pause(snapshot: JSONObject) -> tuple[str, ...]:
    """Status and access stay while the provider collects nothing, so nothing else would show it."""
    pause = as_object(snapshot.get("pause_collection"))
    behavior, until = as_text(pause.get("behavior"), 64), as_time(pause.get("resumes_at"))
    if not behavior:
        return ()
    return (
        f"its payments are not collected{f' until {until:%Y-%m-%d}' if until else ''} ({behavior}): it is counted all the same",
    )


def _item(line: JSONObject, *, is_whole: bool) -> SubscriptionItem:
    """``is_whole``: the line is the subscription itself, its only item before 2018."""
    price = stripe_objects.line_price(line)
    return SubscriptionItem(
        id="" if is_whole else stripe_objects.id_of(line),
        price_id=stripe_objects.line_price_id(line),
        product_id=stripe_objects.id_of(price.get("product")),
        named_plan_id=stripe_objects.metadata_plan_id(price)
        or stripe_objects.metadata_plan_id(as_object(price.get("product"))),
        quantity=as_count(line.get("quantity"), 1),
    )
