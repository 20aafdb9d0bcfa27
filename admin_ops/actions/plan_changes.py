"""Ending a subscription, letting it go on, and moving it to another plan."""

from datetime import datetime

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Effect, Endpoint, StaffAction
from admin_ops.actions.billing import SUBSCRIPTION, is_live_subscription
from admin_ops.actions.forms import CancelForm, ChangePlanForm
from admin_ops.serializers import access as shapes
from admin_ops.serializers.access import CancelAt
from admin_ops.serializers.billing import OneSubscriptionShape, represent_one_subscription
from admin_ops.serializers.users import ReasonBody
from admin_ops.status_colors import GOOD, NEWS, WARN
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import clock, subscriptions
from saas.billing.catalogue.offers import NotForSale
from saas.billing.invoices import refunds
from saas.billing.invoices.refunds import NothingToRefund, PaymentDisputed
from saas.billing.models import Plan, Subscription
from saas.billing.providers import PaymentDeclined
from saas.billing.subscriptions import NothingToResume, NotSubscribed, PlanItemUnknown, SamePlan
from saas.errors import NotFound
from saas.money import Money
from saas.teams.plan_limits import seats_needed


def _day(at: datetime | None) -> str:
    return f"{at:%-d %b %Y}" if at else "the end of the period"


def cancel(
    row: Subscription, context: ActionContext, *, reason: str, when: str = CancelAt.NOW_REFUNDED
) -> ActionResult:
    if when == CancelAt.NOW_REFUNDED:
        ended = refunds.cancel_with_refund(row, reason=reason, by=context.user)
        return ActionResult("It has ended, and the rest is refunded.", ended)
    at_period_end = when == CancelAt.PERIOD_END
    ended = subscriptions.cancel_by_staff(row, at_period_end=at_period_end, reason=reason, by=context.user)
    return ActionResult(f"It ends on {_day(ended.ends_at)}." if ended.is_canceling else "It has ended.", ended)


def _effect_of_canceling(row: Subscription, *, when: str) -> Effect:
    """Raises ``NothingToRefund``. What the rest of the period is worth changes from minute to minute; the invoice does not."""
    end = _day(row.current_period_end)
    if when == CancelAt.PERIOD_END and not row.may_run_out:
        return Effect(("Access ends at once: this period is not paid.", "What is open is not tried again."), when)
    if when == CancelAt.PERIOD_END:
        return Effect((f"It ends on {end}. Until then access stays.", "Nothing is charged or refunded."))
    invoice = refunds.last_paid_invoice(row)
    rest = refunds.unused_cents(row, invoice, clock.now()) if invoice else 0
    if when == CancelAt.NOW:
        kept = f" {Money(rest, invoice.currency)} were paid for the time until {end}." if invoice and rest else ""
        return Effect(("Access ends at once.", f"Nothing is refunded.{kept}"), f"{when} {invoice}")
    if invoice is None or rest <= 0:
        raise NothingToRefund
    refund = (
        f"{Money(rest, invoice.currency)} of invoice {invoice}, for the time until {end}, go back as they were paid."
    )
    return Effect(("Access ends at once.", refund), f"{when} {invoice.pk} {invoice.returned_cents}")


CANCEL = StaffAction(
    name="cancel",
    target=SUBSCRIPTION,
    label="Cancel",
    icon="block",
    description="At the end of the period, or now, with or without a refund of the rest.",
    permission=StaffPermission.REFUND,
    run=cancel,
    form=CancelForm,
    effect=_effect_of_canceling,
    available_for=is_live_subscription,
    unavailable=NotSubscribed.title,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("subscription.canceled", "Subscription canceled", WARN),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/cancel",
        operation_id="staff_subscription_cancel",
        summary="End a subscription, now or with its period",
        description="Without ``when`` it ends now, and what was paid for the rest of the period is refunded.",
        tag="billing",
        body=shapes.CancelBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(NothingToRefund, PaymentDisputed, NotSubscribed),
    ),
)


def resume(row: Subscription, context: ActionContext, *, reason: str) -> ActionResult:
    return ActionResult("It goes on.", subscriptions.resume_by_staff(row, reason=reason, by=context.user))


RESUME = StaffAction(
    name="resume",
    target=SUBSCRIPTION,
    label="Take the cancellation back",
    icon="resume",
    description="It renews at the end of its period, as before.",
    permission=StaffPermission.REFUND,
    run=resume,
    available_for=lambda row: row.is_canceling,
    unavailable=NothingToResume.title,
    is_billing=True,
    audit=(AuditLabel("subscription.resumed", "Cancellation taken back", GOOD),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/resume",
        operation_id="staff_subscription_resume",
        summary="Take a cancellation back that has not taken effect",
        tag="billing",
        body=ReasonBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(NothingToResume, NotSubscribed),
    ),
)


def change_plan(
    row: Subscription, context: ActionContext, *, plan_id: str, reason: str, interval: str = ""
) -> ActionResult:
    changed = subscriptions.change_plan_by_staff(
        row, plan_id=plan_id, interval=interval, seats=seats_needed(row.customer.team), reason=reason, by=context.user
    )
    return ActionResult(f"They have {changed.plan or plan_id} now.", changed)


def _effect_of_changing(row: Subscription, *, plan_id: str, interval: str) -> Effect:
    """The provider is asked what it costs. Raises what ``change_plan_by_staff`` raises."""
    preview = subscriptions.preview_change_by_staff(
        row, plan_id=plan_id, interval=interval, seats=seats_needed(row.customer.team)
    )
    plan = Plan.objects.get(pk=plan_id)
    invoice = preview.invoice
    due, on = Money(invoice.due_cents, invoice.currency), _day(invoice.next_charge_at)
    return Effect(
        (
            f"From {row.plan or row.price_id} to {plan}, at once.",
            f"The next invoice is {due}, on {on}: the new price, and what the change costs or credits.",
        ),
        f"{row.price_id} {plan_id} {interval}",
    )


CHANGE_PLAN = StaffAction(
    name="change-plan",
    target=SUBSCRIPTION,
    label="Change the plan",
    icon="swap_horiz",
    description="They have the new plan at once, and pay or are credited the difference with the next invoice.",
    permission=StaffPermission.REFUND,
    run=change_plan,
    form=ChangePlanForm,
    effect=_effect_of_changing,
    available_for=is_live_subscription,
    unavailable=NotSubscribed.title,
    is_billing=True,
    audit=(AuditLabel("subscription.changed", "Plan changed", NEWS),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/change-plan",
        operation_id="staff_subscription_change_plan",
        summary="Move a subscription to another plan",
        tag="billing",
        body=shapes.ChangePlanBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(NotFound, NotSubscribed, SamePlan, PlanItemUnknown, NotForSale, PaymentDeclined),
    ),
)
