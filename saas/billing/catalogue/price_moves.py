"""Moving those who bought an earlier version of a price to the present one.

For Admin ops, with ``by`` the member of staff; the caller checks who may do this:

    preview_price_move(old, new)                                    -> who pays what, since when, and what they will pay
    schedule_price_move(old, new, effective_at=…, reason="…", by=sam)   -> PriceMove; the payers get a mail
    call_off_price_move(move, reason="…", by=sam)

A scheduled task moves them on the day. No customer is charged in the middle of a period: the new price begins with the next one.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record, require_reason
from saas.background_tasks import for_a_while
from saas.billing import clock, providers
from saas.billing.catalogue.prices import ensure_provider_price
from saas.billing.customers import apply_pending_events
from saas.billing.invoices import customer_mails
from saas.billing.models import Price, PriceMove, PriceMoveStep, Subscription
from saas.billing.subscriptions import NotSubscribed, refresh_after_refusal
from saas.errors import DomainError, Invalid
from saas.money import Money

logger = logging.getLogger(__name__)

SHORTEST_NOTICE = timedelta(days=14)
RETRIED_AFTER = timedelta(hours=1)


class PriceMovePlanned(DomainError):
    code, title = "price_move_planned", "Those who pay this price are to be moved already."  # 409


class PriceMoveEnded(DomainError):
    code, title = "price_move_ended", "This is over already."  # 409


@dataclass(frozen=True)
class Payer:
    """What a subscription costs for one interval, before discounts and tax: now, and after the move."""

    subscription: Subscription
    since: datetime
    pays: Money
    will_pay: Money


def current_version(old: Price) -> Price:
    """The version of an earlier price that is sold now. Raises ``Invalid``."""
    sold = Price.objects.selling(old.plan, old.provider) if old.plan else Price.objects.none()
    if new := sold.filter(currency=old.currency, interval=old.interval, interval_count=old.interval_count).first():
        return new
    raise Invalid(errors={"to_price": ["The plan is not sold at this currency and interval any more."]})


def preview_price_move(old: Price, new: Price) -> list[Payer]:
    """Raises ``Invalid`` if payers cannot be moved from one to the other."""
    _require_movable(old, new)
    return [_payer(row, old, new) for row in _payers(old)]


def _payers(old: Price) -> list[Subscription]:
    """Those who pay the old price, without those whose subscription ends first: they never pay the new one."""
    rows = Subscription.objects.renewing().linked().filter(price_id=old.external_id or "")
    return list(rows.exclude(item_id="").with_customer().order_by("pk"))


def _payer(row: Subscription, old: Price, new: Price) -> Payer:
    quantity = new.quantity_for(row.quantity)
    return Payer(row, row.started_at, _cost(old, row.quantity), _cost(new, quantity))


def _cost(price: Price, quantity: int) -> Money:
    return Money((price.unit_amount_cents or 0) * quantity, price.currency)


def _require_movable(old: Price, new: Price) -> None:
    same = all(
        getattr(old, name) == getattr(new, name)
        for name in ("plan_id", "provider", "currency", "interval", "interval_count", "is_per_unit")
    )
    if old.pk == new.pk or not same:
        raise Invalid(errors={"to_price": ["Choose another version: same plan, currency and interval."]})
    if old.is_current or not (new.is_current and new.is_active):
        raise Invalid(errors={"to_price": ["Move from an earlier version to the one that is sold now."]})
    if old.unit_amount_cents is None or new.unit_amount_cents is None:
        raise Invalid(errors={"to_price": ["What a tiered or metered price costs is not known here."]})


def schedule_price_move(old: Price, new: Price, *, effective_at: datetime, reason: str, by: User) -> PriceMove:
    """Write to everybody who pays the old price, and move them on the day. Raises ``Invalid``, ``PriceMovePlanned``, and what
    the provider raises where it does not know the price yet."""
    payers = preview_price_move(old, new)
    if effective_at < clock.now() + SHORTEST_NOTICE:
        raise Invalid(errors={"effective_at": [f"Give {SHORTEST_NOTICE.days} days' notice."]})
    why = require_reason(reason)
    return _commit_move(old, ensure_provider_price(new), effective_at, why, by, payers)


@transaction.atomic
def _commit_move(old: Price, new: Price, effective_at: datetime, why: str, by: User, payers: list[Payer]) -> PriceMove:
    Price.objects.select_for_update().get(pk=old.pk)
    if PriceMove.objects.planned().filter(from_price=old).exists():
        raise PriceMovePlanned
    move = PriceMove.objects.create(from_price=old, to_price=new, effective_at=effective_at, reason=why)
    PriceMoveStep.objects.bulk_create(PriceMoveStep(move=move, subscription=payer.subscription) for payer in payers)
    for payer in payers:
        customer_mails.send_price_change(payer.subscription, payer.pays, payer.will_pay, effective_at)
    facts: dict[str, Any] = {"move": move.pk, "price": old.pk, "to_price": new.pk, "subscriptions": len(payers)}
    record(
        "price.move_scheduled", actor=by.pk, target=old.plan_id or "", reason=why, at=effective_at.isoformat(), **facts
    )
    return move


@transaction.atomic
def call_off_price_move(move: PriceMove, *, reason: str, by: User) -> PriceMove:
    """Subscriptions that have been moved stay moved. Raises ``PriceMoveEnded``."""
    why = require_reason(reason)
    called_off = PriceMove.objects.planned().filter(pk=move.pk).update(ended_at=clock.now(), is_called_off=True)
    if not called_off:
        raise PriceMoveEnded
    record(
        "price.move_called_off",
        actor=by.pk,
        target=move.from_price.plan_id or "",
        reason=why,
        move=move.pk,
    )
    move.refresh_from_db()
    return move


def apply_due_price_moves() -> int:
    """Move the subscriptions whose day has come, as many as there is time for. One that the provider refuses is tried again
    every hour, after the others. Returns how many were moved."""
    now = clock.now()
    moves = list(PriceMove.objects.due(now).with_prices())
    steps = ((move, step) for move in moves for step in move.steps.to_try(now))
    moved = sum(_move(move, step) for move, step in for_a_while(steps))
    for move in moves:
        if not move.steps.waiting().exists():
            PriceMove.objects.planned().filter(pk=move.pk).update(ended_at=clock.now())
    return moved


def _move(move: PriceMove, step: PriceMoveStep) -> bool:
    row, new = step.subscription, move.to_price
    if row.status in Subscription.TERMINAL or row.price_id != move.from_price.external_id:
        _end_step(step, PriceMoveStep.Status.LEFT_ALONE)
        return False
    terms = row.terms_at_provider(new.external_id or "", new.quantity_for(row.quantity))
    try:
        with refresh_after_refusal(row):
            providers.current_gateway().change_subscription(**terms, prorate=False)
    except NotSubscribed:
        _end_step(step, PriceMoveStep.Status.LEFT_ALONE)
        return False
    except DomainError as refusal:
        logger.warning("price_move_failed", extra={"subscription": row.external_id, "code": refusal.code})
        failed = PriceMoveStep.objects.filter(pk=step.pk)
        failed.update(error=str(refusal.detail)[:255], due_at=clock.now() + RETRIED_AFTER)
        return False
    apply_pending_events(row.customer)
    return _record_moved(move, step)


@transaction.atomic
def _record_moved(move: PriceMove, step: PriceMoveStep) -> bool:
    """Once, whichever of two processes has moved it."""
    if is_first := _end_step(step, PriceMoveStep.Status.MOVED):
        facts: dict[str, Any] = {"move": move.pk, "price": move.from_price_id, "to_price": move.to_price_id}
        record("subscription.price_moved", actor="system", target=step.subscription_id, reason=move.reason, **facts)
    return is_first


def _end_step(step: PriceMoveStep, status: str) -> bool:
    waiting = PriceMoveStep.objects.waiting().filter(pk=step.pk)
    return bool(waiting.update(status=status, ended_at=clock.now(), error=""))
