"""Changing the plan of a subscription, canceling and resuming it, and extending its trial.

Each calls the provider; the provider's events change the row.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import clock, providers
from saas.billing.checkouts import NotForSale
from saas.billing.customers import apply_pending_events
from saas.billing.models import Customer, Owner, Plan, Price, Subscription
from saas.billing.providers import ChangePreview
from saas.errors import DomainError, Invalid, NotFound

logger = logging.getLogger(__name__)

LONGEST_TRIAL = timedelta(days=730)  # from now; Stripe refuses more


class NotSubscribed(DomainError):
    code, title = "not_subscribed", "There is no live subscription."  # 409


class SamePlan(DomainError):
    code, title = "same_plan", "The subscription is on this plan already."  # 409


class PlanItemUnknown(DomainError):
    code, title = "plan_item_unknown", "We do not know which part of the subscription is the plan. Write to us."  # 409


class NothingToResume(DomainError):
    code, title = "nothing_to_resume", "The subscription is not about to be canceled."  # 409


class NotOnTrial(DomainError):
    code, title = "not_on_trial", "The subscription is not on trial."  # 409


def current_subscription(owner: Owner) -> Subscription | None:
    """The owner's live subscription. Of several, one that gives access, then the latest."""
    now = clock.now()
    live = Subscription.objects.for_owner(owner).live().select_related("plan", "customer")
    return max(live, key=lambda row: (row.grants_access(now), row.started_at), default=None)


def refresh_subscription(owner: Owner) -> Subscription | None:
    """Like ``current_subscription``, after fetching it from the provider; as it is stored if the provider does not answer."""
    customers = (
        Customer.objects.for_owner(owner).filter(provider=providers.current_gateway().provider).exclude(external_id="")
    )
    for customer in customers:
        try:
            for row in Subscription.objects.filter(customer=customer).live():
                providers.current_gateway().fetch_subscription(row.external_id)
        except DomainError:
            logger.warning("subscription_not_refreshed", extra={"customer": customer.pk})
        apply_pending_events(customer)
    return current_subscription(owner)


def _require_subscription(owner: Owner) -> Subscription:
    if row := current_subscription(owner):
        return row
    raise NotSubscribed


def change_plan(owner: Owner, *, plan_id: str, by: User) -> Subscription:
    """Change the plan now; the difference is charged with the next invoice.

    Only the plan's item changes, and keeps its quantity. Raises ``NotFound`` for a plan that is not on sale,
    ``NotSubscribed``, ``SamePlan``, ``PlanItemUnknown``.
    """
    row, price = _plan_change(owner, plan_id)
    providers.current_gateway().change_subscription(
        subscription_id=row.external_id, item_id=row.item_id, price_id=price.external_id, quantity=row.quantity
    )
    return _apply_and_record(row, "subscription.changed", by, plan=plan_id)


def preview_change(owner: Owner, *, plan_id: str) -> ChangePreview:
    """What ``change_plan`` would cost. Changes nothing, and raises the same."""
    row, price = _plan_change(owner, plan_id)
    return providers.current_gateway().preview_change(
        subscription_id=row.external_id, item_id=row.item_id, price_id=price.external_id, quantity=row.quantity
    )


def _plan_change(owner: Owner, plan_id: str) -> tuple[Subscription, Price]:
    plan = Plan.objects.on_sale().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    row = _require_subscription(owner)
    if row.plan_id == plan.pk and row.plan_is_known:
        raise SamePlan
    price = Price.objects.selling(plan, row.customer.provider).first()
    if price is None:
        raise NotForSale(retry_after_seconds=60)
    if not row.item_id:  # its events are from before 2018 and name no items; the provider's answer does
        providers.current_gateway().fetch_subscription(row.external_id)
        apply_pending_events(row.customer)
        row.refresh_from_db()
    if not row.item_id:
        raise PlanItemUnknown
    return row, price


def cancel_subscription(owner: Owner, *, at_period_end: bool, reason: str, by: User) -> Subscription:
    """End the subscription at the end of its period, or now. Raises ``NotSubscribed``."""
    row = _require_subscription(owner)
    if at_period_end:
        providers.current_gateway().set_cancel_at_period_end(row.external_id, value=True, reason=reason)
    else:
        providers.current_gateway().cancel_subscription(row.external_id, reason=reason)
    return _apply_and_record(row, "subscription.canceled", by, reason=reason, at_period_end=at_period_end)


def resume_subscription(owner: Owner, *, by: User) -> Subscription:
    """Revoke a cancellation that has not taken effect. Raises ``NotSubscribed``, ``NothingToResume``."""
    row = _require_subscription(owner)
    if not row.is_canceling:
        raise NothingToResume
    if row.cancel_at_period_end:
        providers.current_gateway().set_cancel_at_period_end(row.external_id, value=False)
    else:
        providers.current_gateway().clear_cancel_at(row.external_id)
    return _apply_and_record(row, "subscription.resumed", by)


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
    if not reason.strip():
        raise Invalid(errors={"reason": ["Say why."]})
    providers.current_gateway().extend_trial(subscription.external_id, trial_end=trial_end)
    apply_pending_events(subscription.customer)
    return _record_extension(subscription, trial_end, reason, by)


@transaction.atomic
def _record_extension(row: Subscription, trial_end: datetime, reason: str, by: User) -> Subscription:
    before = row.trial_end.isoformat() if row.trial_end else None
    record(
        "subscription.trial_extended",
        actor=by.pk,
        target=row.pk,
        reason=reason.strip()[:500],
        before=before,
        trial_end=trial_end.isoformat(),
    )
    row.refresh_from_db()
    return row
