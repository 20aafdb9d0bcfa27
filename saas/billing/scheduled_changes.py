"""Changes of plan at the end of the period, such as a downgrade: asked for, called off, and made in the period's last minutes.

Until then the row is ours alone and the provider knows nothing, so that the subscription can be canceled and changed as usual
(decision 190).
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from saas.accounts.models import User
from saas.audit.actions import record
from saas.background_tasks import for_a_while
from saas.billing import clock, providers
from saas.billing.customers import apply_pending_events
from saas.billing.models import Owner, PendingChange, Subscription
from saas.billing.models.pending_changes import LEAD
from saas.billing.providers import ProviderRefused
from saas.billing.subscriptions import current_subscription, plan_change, refresh_after_refusal, require_subscription
from saas.billing.sync.attention import mail_staff
from saas.errors import DomainError

logger = logging.getLogger(__name__)

LATEST = timedelta(days=1)  # after the period's end, what the provider has refused until then is given up


class NothingPending(DomainError):
    code, title = "nothing_pending", "No change is planned for this subscription."  # 409


class NoPeriodEnd(DomainError):
    code, title = "no_period_end", "The subscription does not go on after this period: nothing can be planned."  # 409


def schedule_change(
    owner: Owner, *, plan_id: str, by: User, interval: str = "", quantity: int | None = None, seats: int = 1
) -> Subscription:
    """Plan the change that ``change_plan`` would make now for the end of the period. It replaces one that was planned before.

    Raises what ``change_plan`` raises, and ``NoPeriodEnd``.
    """
    change = plan_change(require_subscription(owner), plan_id, interval, quantity, seats)
    row, at = change.subscription, next_period_start(change.subscription)
    if at is None:
        raise NoPeriodEnd
    terms = {"price": change.price, "price_before": row.find_price(), "quantity": change.quantity}
    values = {**terms, "at": at, "error": ""}
    with transaction.atomic():
        PendingChange.objects.update_or_create(subscription=row, defaults=values)
        record(
            "subscription.change_planned",
            actor=by.pk,
            target=row.pk,
            plan=plan_id,
            quantity=change.quantity,
            at=at.isoformat(),
        )
    row.refresh_from_db()
    return row


def next_period_start(row: Subscription) -> datetime | None:
    """When a change that is planned now would be made; None where the subscription does not go on."""
    at = row.current_period_end
    return None if at is None or row.is_canceling or at <= clock.now() else at


@transaction.atomic
def call_off_change(owner: Owner, *, by: User) -> Subscription:
    """Raises ``NothingPending``."""
    row = current_subscription(owner)
    if row is None or not PendingChange.objects.filter(subscription=row).delete()[0]:
        raise NothingPending
    record("subscription.change_called_off", actor=by.pk, target=row.pk)
    row.refresh_from_db()
    return row


def make_due_changes() -> int:
    """Make the changes whose period ends within minutes, as many as there is time for. What is late is made nevertheless, and
    its difference credited. Returns how many were made."""
    _follow_periods(clock.now())
    due = PendingChange.objects.due(clock.now()).select_related("subscription__customer", "price", "price_before")
    return sum(_make(change) for change in for_a_while(due))


def _follow_periods(now: datetime) -> None:
    """A period whose end was moved since, such as by a longer trial, takes along what was planned for it."""
    waiting = PendingChange.objects.filter(at__gt=now + LEAD, subscription__current_period_end__isnull=False)
    moved = waiting.exclude(at=F("subscription__current_period_end"))
    for change in for_a_while(moved.select_related("subscription", "price", "price_before")):
        if _is_overtaken(change):
            _end(change, "subscription.change_dropped")
        else:
            PendingChange.objects.filter(pk=change.pk).update(at=change.subscription.current_period_end)


def _is_overtaken(change: PendingChange) -> bool:
    """Whether the subscription was changed since to another plan or interval, such as by a payment that came later."""
    before, now = change.price_before, change.subscription.find_price()
    if before is None or now is None:
        return False
    return (before.plan_id, before.period) != (now.plan_id, now.period)


def _make(change: PendingChange) -> bool:
    row, now = change.subscription, clock.now()
    is_over = row.status in Subscription.TERMINAL or row.is_canceling or now >= change.at + LATEST
    if is_over or _is_overtaken(change):
        _end(change, "subscription.change_dropped")
        return False
    terms = row.terms_at_provider(change.price.external_id or "", change.quantity)
    try:
        with refresh_after_refusal(row):
            providers.current_gateway().change_subscription(**terms, prorate=now >= change.at)
    except DomainError as refusal:
        logger.warning("planned_change_failed", extra={"subscription": row.external_id, "code": refusal.code})
        if isinstance(refusal, ProviderRefused):
            _tell_staff(change, refusal)
        PendingChange.objects.filter(pk=change.pk).update(error=str(refusal.detail)[:255])
        return False
    apply_pending_events(row.customer)
    return _end(change, "subscription.changed")


def _tell_staff(change: PendingChange, refusal: ProviderRefused) -> None:
    """Mail staff, once: the customer goes on paying for the old plan or the old number of seats."""
    what = f"planned change to {change.price.plan_id} refused: {change.subscription.external_id}, {change.at:%Y-%m-%d}"
    mail_staff(what, str(refusal.detail), "", is_per_event=False)


@transaction.atomic
def _end(change: PendingChange, action: str) -> bool:
    """Once, whichever of two processes has made it."""
    if not PendingChange.objects.filter(pk=change.pk).delete()[0]:
        return False
    record(action, actor="system", target=change.subscription_id, plan=change.price.plan_id, quantity=change.quantity)
    return True
