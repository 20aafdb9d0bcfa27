"""Changing the plan of a subscription, canceling and resuming it, and extending its trial.

Each calls the provider; the provider's events change the row.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from saas.accounts.models import User
from saas.audit.actions import record, require_reason
from saas.background_tasks import SLICE_SECONDS, for_a_while
from saas.billing import clock, providers
from saas.billing.catalogue.offers import find_offer
from saas.billing.catalogue.promotions import find_promotion_code
from saas.billing.customers import apply_pending_events
from saas.billing.models import Customer, Owner, PendingChange, Plan, Price, Subscription
from saas.billing.providers import Gateway, InvoicePreview, PaymentDeclined, ProviderRefused
from saas.billing.sync import event_history
from saas.billing.sync.stripe_objects import TRIAL_ENDED_WITHOUT_CARD, pause_reason
from saas.errors import DomainError, Invalid, NotFound

logger = logging.getLogger(__name__)

PREVIEW_HOLDS = timedelta(minutes=15)  # how long the amounts of a preview can be agreed to
LONGEST_TRIAL = timedelta(days=730)  # from now; Stripe refuses more


class NotSubscribed(DomainError):
    code, title = "not_subscribed", "There is no live subscription."  # 409


class SamePlan(DomainError):
    code, title = "same_plan", "The subscription is on this plan already."  # 409


class PlanItemUnknown(DomainError):
    code, title = "plan_item_unknown", "We do not know which part of the subscription is the plan. Write to us."  # 409


class PreviewOutdated(DomainError):
    code, title = "preview_outdated", "This price was worked out a while ago. Look at it again."  # 409


class NothingToResume(DomainError):
    code, title = "nothing_to_resume", "The subscription is not about to be canceled."  # 409


class NotOnTrial(DomainError):
    code, title = "not_on_trial", "The subscription is not on trial."  # 409


def current_subscription(owner: Owner) -> Subscription | None:
    """The owner's live subscription. Of several, one that gives access, then the latest."""
    now = clock.now()
    live = Subscription.objects.for_owner(owner).live().select_related("plan", "customer", "pending_change__price")
    return max(live, key=lambda row: (row.grants_access(now), row.started_at), default=None)


def refresh_subscription(owner: Owner) -> Subscription | None:
    """Like ``current_subscription``, after fetching it from the provider; as it is stored if the provider does not answer."""
    provider = providers.current_provider()
    for customer in Customer.objects.for_owner(owner).filter(provider=provider).exclude(external_id=""):
        for row in Subscription.objects.filter(customer=customer).live():
            try:
                providers.current_gateway().fetch_subscription(row.external_id)
            except DomainError:
                logger.warning("subscription_not_refreshed", extra={"customer": customer.pk})
        apply_pending_events(customer)
    return current_subscription(owner)


@contextmanager
def refresh_after_refusal(row: Subscription) -> Iterator[None]:
    """If the provider refuses, fetch the subscription: it may have ended there without an event that reached us. Raises
    ``NotSubscribed`` if it is over, else the refusal."""
    try:
        yield
    except ProviderRefused:
        with suppress(DomainError):
            providers.current_gateway().fetch_subscription(row.external_id)
        apply_pending_events(row.customer)
        row.refresh_from_db()
        _require_live(row)
        raise


def require_subscription(owner: Owner) -> Subscription:
    """Raises ``NotSubscribed``."""
    if row := current_subscription(owner):
        return row
    raise NotSubscribed


def _require_live(row: Subscription) -> Subscription:
    if row.status in Subscription.TERMINAL:
        raise NotSubscribed
    return row


@dataclass(frozen=True)
class PlanChange:
    """What a subscription is changed to. A new period that begins (``Price.begins_a_period_after``) is charged at once."""

    subscription: Subscription
    plan_id: str
    price: Price
    quantity: int
    begins_a_period: bool

    @property
    def is_charged_now(self) -> bool:
        """A trial goes on, and is charged when it ends."""
        return self.begins_a_period and self.subscription.status != Subscription.Status.TRIALING

    @property
    def at_provider(self) -> dict[str, Any]:
        """Its terms, as the gateway takes them."""
        return self.subscription.terms_at_provider(self.price.external_id or "", self.quantity)


@dataclass(frozen=True)
class ChangePreview:
    """The next invoice after a change, which is that of the moment where ``is_charged_now``. The amounts hold for a change as
    of ``prorated_at``."""

    price: Price
    quantity: int
    invoice: InvoicePreview
    prorated_at: datetime
    is_charged_now: bool

    @property
    def plan(self) -> Plan | None:
        return self.price.plan


def change_plan(
    owner: Owner,
    *,
    plan_id: str,
    by: User,
    interval: str = "",
    quantity: int | None = None,
    seats: int = 1,
    prorated_at: datetime | None = None,
) -> Subscription:
    """Change the plan, its interval or the number of seats now; the difference is charged with the next invoice, and where a
    new period begins at once.

    Only the plan's item changes. Left out, the interval stays, where the plan is sold by it, and the quantity; where the plan is
    sold per seat and was not before, it is ``seats``, those that are taken. With the ``prorated_at`` of a preview its amounts are
    charged. Raises ``NotFound`` for a plan that is not on sale, ``NotSubscribed``, ``SamePlan``, ``PlanItemUnknown``,
    ``PreviewOutdated``, ``Invalid``, and ``PaymentDeclined`` where a charge at once was: then nothing has changed.
    """
    now = clock.now()
    if prorated_at and not now - PREVIEW_HOLDS <= prorated_at <= now:
        raise PreviewOutdated
    change = plan_change(require_subscription(owner), plan_id, interval, quantity, seats)
    return _change(change, by, prorated_at=prorated_at)


def change_plan_by_staff(
    row: Subscription, *, plan_id: str, interval: str, seats: int, reason: str, by: User
) -> Subscription:
    """Like ``change_plan``, for the member of staff ``by``."""
    why = require_reason(reason)
    return _change(plan_change(_require_live(row), plan_id, interval, None, seats), by, reason=why)


def _change(change: PlanChange, by: User, *, reason: str = "", prorated_at: datetime | None = None) -> Subscription:
    row = change.subscription
    terms = {**change.at_provider, "prorated_at": prorated_at, "needs_payment": change.is_charged_now}
    try:
        with refresh_after_refusal(row):
            providers.current_gateway().change_subscription(**terms)
    except PaymentDeclined:  # what is open now is shown at once; the change may still be made
        apply_pending_events(row.customer)
        raise
    PendingChange.objects.overtaken_by(row, change.price).delete()
    return _apply_and_record(row, "subscription.changed", by, reason=reason, plan=change.plan_id)


def preview_change(
    owner: Owner, *, plan_id: str, interval: str = "", quantity: int | None = None, seats: int = 1
) -> ChangePreview:
    """What ``change_plan`` would cost. Changes nothing, and raises the same."""
    return _preview(plan_change(require_subscription(owner), plan_id, interval, quantity, seats))


def preview_change_by_staff(row: Subscription, *, plan_id: str, interval: str, seats: int) -> ChangePreview:
    """What ``change_plan_by_staff`` would cost."""
    return _preview(plan_change(_require_live(row), plan_id, interval, None, seats))


def _preview(change: PlanChange) -> ChangePreview:
    now = clock.now().replace(microsecond=0)
    with refresh_after_refusal(change.subscription):
        invoice = providers.current_gateway().preview_change(**change.at_provider, prorated_at=now)
    if change.is_charged_now:
        invoice = replace(invoice, next_charge_at=now)
    return ChangePreview(change.price, change.quantity, invoice, now, change.is_charged_now)


def preview_next_invoice(row: Subscription) -> InvoicePreview | None:
    """What the provider will charge next, and when; None where the subscription ends or it does not say."""
    if row.ends_with_period or row.status not in Subscription.GRANTING:
        return None
    try:
        return providers.current_gateway().preview_next_invoice(row.external_id)
    except DomainError:
        logger.warning("next_invoice_not_previewed", extra={"subscription": row.pk})
        return None


def plan_change(row: Subscription, plan_id: str, interval: str, quantity: int | None, seats: int) -> PlanChange:
    """What the change would be. Raises as ``change_plan`` does."""
    before = row.find_price() or Price()  # an unknown price counts as monthly, and not per seat
    keeps_price = row.plan_id == plan_id and row.plan_is_known and interval in {"", before.offered_interval}
    if keeps_price and quantity in {None, row.quantity}:
        raise SamePlan
    plans = Plan.objects.all() if keeps_price else Plan.objects.on_sale()  # an archived one keeps its buyers
    plan = plans.filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    price = _offer(plan, row, interval, before)
    if not row.item_id:  # its events are from before 2018 and name no items; the provider's answer does
        providers.current_gateway().fetch_subscription(row.external_id)
        apply_pending_events(row.customer)
        row.refresh_from_db()
    if not row.item_id:
        raise PlanItemUnknown
    quantity_after = _quantity_after(price, before, row, quantity, seats)
    return PlanChange(row, plan.pk, price, quantity_after, price.begins_a_period_after(before))


def _offer(plan: Plan, row: Subscription, interval: str, before: Price) -> Price:
    """In the subscription's currency, which never changes, and by its interval, where the plan is sold by it. Another number of
    seats keeps the price that was bought."""
    if before.plan_id == plan.pk and interval in {"", before.offered_interval}:
        return before
    sold = Price.objects.selling(plan, providers.current_provider()).filter(interval=before.charged_every)
    currency = row.currency if before.currency else ""
    return find_offer(plan, interval=interval or (before.charged_every if sold.exists() else ""), currency=currency)


def _quantity_after(price: Price, before: Price, row: Subscription, wanted: int | None, seats: int) -> int:
    if not price.is_per_unit:
        if wanted not in {None, 1}:
            raise Invalid(errors={"quantity": ["This plan is sold whole, not per seat."]})
        return 1 if before.is_per_unit or wanted else row.quantity
    if wanted is not None and wanted < seats:
        raise Invalid(errors={"quantity": [f"{seats} seats are taken: keep at least as many."]})
    return price.quantity_for(wanted or max(seats, _seats_kept(price, before, row)))


def _seats_kept(price: Price, before: Price, row: Subscription) -> int:
    """The seats that are paid now, while the period goes on; for a team that begins a new period, no more than are taken."""
    is_counted_anew = row.customer.team_id is not None and price.begins_a_period_after(before)
    return row.quantity if before.is_per_unit and not is_counted_anew else 1


def reduce_quantity(row: Subscription, *, quantity: int, by: User) -> Subscription:
    """Charge for fewer seats from the next period on; nothing of this one is given back."""
    with refresh_after_refusal(row):
        providers.current_gateway().change_subscription(**row.terms_at_provider(row.price_id, quantity), prorate=False)
    return _apply_and_record(row, "subscription.changed", by, plan=row.plan_id, quantity=quantity)


def give_discount(subscription: Subscription, *, code: str, reason: str, by: User) -> Subscription:
    """Take off what the promotion code gives, in addition to other discounts, for the member of staff ``by``.

    Raises ``NotSubscribed`` for one that is over, ``Invalid`` for a code that cannot be used, and what the provider refuses.
    """
    _require_live(subscription)
    why = require_reason(reason)
    found, gateway = find_promotion_code(code, currency=subscription.currency), providers.current_gateway()
    with refresh_after_refusal(subscription):
        gateway.apply_promotion_code(subscription.external_id, gateway.ensure_promotion_code(found))
    return _apply_and_record(
        subscription, "subscription.discount_given", by, reason=why, code=found.code, off=found.off
    )


def cancel_subscription(owner: Owner, *, at_period_end: bool, reason: str, by: User) -> Subscription:
    """End the subscription at the end of its period, if that is paid, or now. Raises ``NotSubscribed``."""
    return _cancel(require_subscription(owner), at_period_end=at_period_end, reason=reason, by=by)


def cancel_by_staff(row: Subscription, *, at_period_end: bool, reason: str, by: User) -> Subscription:
    """The same for the member of staff ``by``. Nothing is refunded. Raises ``NotSubscribed``, ``Invalid``."""
    return _cancel(_require_live(row), at_period_end=at_period_end, reason=require_reason(reason), by=by)


def _cancel(row: Subscription, *, at_period_end: bool, reason: str, by: User) -> Subscription:
    waits, gateway = at_period_end and row.may_run_out, providers.current_gateway()
    with refresh_after_refusal(row):
        if waits:
            gateway.set_cancel_at_period_end(row.external_id, value=True, reason=reason)
        else:
            gateway.cancel_subscription(row.external_id, reason=reason)
    PendingChange.objects.filter(subscription=row).delete()  # nothing follows this period
    return _apply_and_record(row, "subscription.canceled", by, reason=reason, at_period_end=waits)


def resume_subscription(owner: Owner, *, by: User) -> Subscription:
    """Revoke a cancellation that has not taken effect. Raises ``NotSubscribed``, ``NothingToResume``."""
    return _resume(require_subscription(owner), by)


def resume_by_staff(row: Subscription, *, reason: str, by: User) -> Subscription:
    """The same for the member of staff ``by``. Raises ``NothingToResume``, ``Invalid``."""
    return _resume(row, by, reason=require_reason(reason))


def _resume(row: Subscription, by: User, *, reason: str = "") -> Subscription:
    if not row.is_canceling:
        raise NothingToResume
    gateway = providers.current_gateway()
    with refresh_after_refusal(row):
        if row.cancel_at_period_end:
            gateway.set_cancel_at_period_end(row.external_id, value=False)
        else:
            gateway.clear_cancel_at(row.external_id)
    return _apply_and_record(row, "subscription.resumed", by, reason=reason)


def _apply_and_record(row: Subscription, action: str, by: User, *, reason: str = "", **data: Any) -> Subscription:
    apply_pending_events(row.customer)
    record(action, actor=by.pk, target=row.pk, reason=reason, **data)
    row.refresh_from_db()
    return row


def extend_trial(subscription: Subscription, *, trial_end: datetime, reason: str, by: User) -> Subscription:
    """Extend the trial to ``trial_end``, for the member of staff ``by``. May be repeated.

    Raises ``NotOnTrial``, ``Invalid``, and what the provider refuses.
    """
    if subscription.status != Subscription.Status.TRIALING:
        raise NotOnTrial
    now = clock.now()
    if not max(now, subscription.trial_end or now) < trial_end <= now + LONGEST_TRIAL:
        raise Invalid(errors={"trial_end": ["Choose a time after the trial's present end, within two years."]})
    why = require_reason(reason)
    providers.current_gateway().extend_trial(subscription.external_id, trial_end=trial_end)
    apply_pending_events(subscription.customer)
    return _record_extension(subscription, trial_end, why, by)


@transaction.atomic
def _record_extension(row: Subscription, trial_end: datetime, reason: str, by: User) -> Subscription:
    before = row.trial_end.isoformat() if row.trial_end else None
    facts: dict[str, Any] = {"before": before, "trial_end": trial_end.isoformat()}
    record("subscription.trial_extended", actor=by.pk, target=row.pk, reason=reason, **facts)
    row.refresh_from_db()
    return row


def resume_paused_trials(customer_id: str = "", seconds: float = SLICE_SECONDS) -> int:
    """Resume trials that paused without a card, of one customer or of all who have given one since, in random order. Each is
    charged at once, unless another subscription gives access by now."""
    gateway = providers.current_gateway()
    paused = Subscription.objects.linked().filter(status=Subscription.Status.PAUSED)
    of_provider = paused.filter(customer__provider=gateway.provider)
    wanted = of_provider.filter(customer=customer_id) if customer_id else of_provider
    have_none = Q(customer__default_payment_method="", default_payment_method="")
    rows = wanted.exclude(have_none).select_related("customer").order_by("?")
    return sum(_resume_trial(row, gateway) for row in for_a_while(rows, seconds) if _may_wait_for_a_card(row))


def _may_wait_for_a_card(row: Subscription) -> bool:
    """Events of earlier API versions do not say why it is paused: then the provider is asked."""
    events = event_history.stored_events(row.external_id, "customer.subscription.")
    shown = [event for event in events if event.object.get("status") == Subscription.Status.PAUSED]
    last = max(shown, key=lambda event: (event.created, event.id), default=None)
    is_other_reason = last is not None and pause_reason(last.object) not in {"", TRIAL_ENDED_WITHOUT_CARD}
    return not is_other_reason and not _has_another_subscription(row)


def _has_another_subscription(row: Subscription) -> bool:
    owned = Subscription.objects.filter(customer__user=row.customer.user_id, customer__team=row.customer.team_id)
    others = owned.live().exclude(pk=row.pk).select_related("customer")
    return any(other.grants_access(clock.now()) for other in others)


def _resume_trial(row: Subscription, gateway: Gateway) -> bool:
    try:
        is_resumed = gateway.resume_paused_trial(row.external_id)
    except DomainError as refusal:
        logger.warning("trial_not_resumed", extra={"subscription": row.external_id, "reason": refusal.code})
        return False
    apply_pending_events(row.customer)
    return is_resumed
