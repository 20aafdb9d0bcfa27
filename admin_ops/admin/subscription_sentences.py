"""What a subscription is, how it stands, and what happens next, each as a sentence."""

from datetime import datetime

from saas.billing.models import Price, PriceMoveStep, Subscription
from saas.money import Money

Status = Subscription.Status


def price_text(price: Price, currency: str = "") -> str:
    """``79.00 USD a month``, ``9.00 USD a seat and month``. ``currency`` is that of a price which has none of its own."""
    if price.unit_amount_cents is None:
        return "tiered or metered"
    amount = Money(price.unit_amount_cents, price.currency or currency)
    every = price.charged_every if price.interval_count == 1 else f"{price.interval_count} {price.charged_every}s"
    return f"{amount} {'a seat and' if price.is_per_unit else 'every' if price.interval_count > 1 else 'a'} {every}"


def subscription_sentences(row: Subscription, now: datetime) -> list[str]:
    """Takes at most four queries."""
    said = [_terms(row), _standing(row, now), _next(row), _planned_change(row), _price_move(row)]
    return [sentence for sentence in said if sentence]


def _terms(row: Subscription) -> str:
    plan, price = row.plan.name if row.plan else "", row.find_price()
    if not plan or not row.plan_is_known:
        was = f" It was {plan} before." if plan else ""
        return f"Its price {row.price_id or 'at the provider'} stands for no plan.{was} It is {row.monthly} a month."
    if price is None or price.amount is None:
        return f"{_count(row.quantity)}{plan}, {row.monthly} a month."
    if price.is_per_unit:
        seats = f"{row.quantity} seat{'' if row.quantity == 1 else 's'}"
        return f"{plan} for {seats}, {price_text(price, row.currency)}: {row.monthly} a month in all."
    return f"{_count(row.quantity)}{plan} for {price_text(price, row.currency)}."


def _count(quantity: int) -> str:
    return "" if quantity == 1 else f"{quantity} times "


def _standing(row: Subscription, now: datetime) -> str:
    if row.ended_at or row.status in Subscription.TERMINAL:
        return f"It ended on {_day(row.ended_at)}." if row.ended_at else "It is over."
    if row.status == Status.PAST_DUE:
        since = f" since {_day(row.past_due_since)}" if row.past_due_since else ""
        access = f"goes on until {_day(row.grace_ends_at)}" if row.grants_access(now) else "has ended"
        return f"Its payment is past due{since}; access {access}."
    said = {
        Status.TRIALING.value: f"It is on trial until {_day(row.trial_end)}." if row.trial_end else "It is on trial.",
        Status.ACTIVE.value: f"It is paid until {_day(row.current_period_end)}."
        if row.current_period_end
        else "It is paid.",
        Status.UNPAID.value: "It was not paid, and the provider has stopped asking; access has ended.",
        Status.INCOMPLETE.value: "Its first payment is not made yet; there is no access before.",
        Status.PAUSED.value: "It is paused: nothing is charged, and there is no access.",
    }
    return said.get(row.status) or f"The provider calls it “{row.status}”, which is not known here."


def _next(row: Subscription) -> str:
    if row.ended_at or row.status in Subscription.TERMINAL:
        return ""
    if row.is_canceling:
        asked = f" That was asked for on {_day(row.canceled_at)}." if row.canceled_at else ""
        return f"It ends on {_day(row.ends_at)} and is not charged again.{asked}" if row.ends_at else f"It ends.{asked}"
    if row.status == Status.TRIALING:
        return f"Then {row.monthly} a month are charged."
    if row.status == Status.ACTIVE and row.current_period_end:
        return "It renews on that day."
    if row.status == Status.PAST_DUE:
        return "The provider tries the payment again, as its settings say."
    return ""


def _planned_change(row: Subscription) -> str:
    change = getattr(row, "pending_change", None)
    if change is None or row.is_canceling:
        return ""
    failed = f" The last attempt failed: {change.error}" if change.error else ""
    return f"On {_day(change.at)} it changes to {change.price.plan}, {price_text(change.price, row.currency)}.{failed}"


def _price_move(row: Subscription) -> str:
    steps = PriceMoveStep.objects.waiting().filter(subscription=row, move__ended_at=None)
    step = steps.select_related("move__to_price").first()
    if step is None:
        return ""
    return f"From {_day(step.move.effective_at)} on its price is {price_text(step.move.to_price, row.currency)}."


def _day(at: datetime | None) -> str:
    return f"{at:%-d %b %Y}" if at else "a day that is not known"
