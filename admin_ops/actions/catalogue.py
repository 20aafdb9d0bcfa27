"""Editing what is for sale: plans and their prices. Files do the same: ``manage.py plans``."""

from typing import Any

from admin_ops.actions.base import (
    ActionContext,
    ActionResult,
    AuditLabel,
    Effect,
    StaffAction,
    Target,
    as_row_number,
)
from admin_ops.actions.forms import ChangePriceForm, EditPlanForm
from admin_ops.status_colors import NEWS, WARN
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import providers
from saas.billing.catalogue import plans, prices
from saas.billing.models import Plan, Price, PriceTerms, Subscription
from saas.errors import Invalid
from saas.money import Money

PLAN = Target(Plan, StaffPermission.READ_BILLING, lambda row_id: Plan.objects.filter(pk=row_id).first())
PLAN_EDITED = (AuditLabel("plan.edited", "Edited a plan", NEWS),)


def _find_price(row_id: str) -> Price | None:
    return Price.objects.filter(pk=as_row_number(row_id)).select_related("plan").first()


PRICE = Target(Price, StaffPermission.READ_BILLING, _find_price)


def edit_plan(row: Plan, context: ActionContext, *, reason: str, **values: Any) -> ActionResult:
    before = plans.edit_plan(row.pk, by=context.user.pk, reason=reason, **values)
    changed = ", ".join(name.removeprefix("is_") for name in before) or "nothing"
    return ActionResult(f"Changed: {changed}.")


EDIT_PLAN = StaffAction(
    name="edit",
    target=PLAN,
    label="Edit",
    icon="edit",
    description="Name, description and place in the price list. Limits and features are in the file of manage.py plans.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=edit_plan,
    form=EditPlanForm,
    is_billing=True,
    audit=PLAN_EDITED,
)


def _sold_price(row: Plan, currency: str, interval: str) -> Price | None:
    return Price.objects.selling(row, providers.current_provider()).filter(currency=currency, interval=interval).first()


def _terms(row: Plan, amount_cents: int, currency: str, interval: str) -> PriceTerms:
    """Keep ``is_per_unit`` and ``included_quantity`` of the price that is replaced; a new price is not per unit."""
    sold = _sold_price(row, currency, interval)
    per_unit = (sold.is_per_unit, sold.included_quantity) if sold else (False, 1)
    return PriceTerms(currency, interval, amount_cents, *per_unit)


def change_price(
    row: Plan, context: ActionContext, *, amount_cents: int, currency: str, interval: str, reason: str
) -> ActionResult:
    terms = _terms(row, amount_cents, currency, interval)
    price = prices.change_price(row.pk, terms, by=context.user.pk, reason=reason)
    return ActionResult(f"{row} is sold for {price.amount} a {interval} from now on (version {price.version}).")


def _effect_of_changing_the_price(row: Plan, *, amount_cents: int, currency: str, interval: str) -> Effect:
    if wrong := _terms(row, amount_cents, currency, interval).check():
        raise Invalid(errors=wrong)
    sold = _sold_price(row, currency, interval)
    instead = f" instead of {sold.amount}" if sold else ""
    keeping = Subscription.objects.live().filter(price_id=sold.external_id).count() if sold else 0
    kept = f"{keeping} subscription{'' if keeping == 1 else 's'} bought the present price, and keep paying it."
    return Effect((f"New customers pay {Money(amount_cents, currency)} a {interval}{instead}, as a new version.", kept))


CHANGE_PRICE = StaffAction(
    name="change-price",
    target=PLAN,
    label="Change the price",
    icon="payments",
    description="A price is never changed: a new version takes its place for new customers.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=change_price,
    form=ChangePriceForm,
    effect=_effect_of_changing_the_price,
    available_for=lambda row: row.is_active,
    is_billing=True,
    audit=(AuditLabel("price.changed", "Changed a price", NEWS),),
)


def archive_plan(row: Plan, context: ActionContext, *, reason: str) -> ActionResult:
    plans.archive_plan(row.pk, by=context.user.pk, reason=reason)
    return ActionResult(f"{row} is sold no longer.")


ARCHIVE_PLAN = StaffAction(
    name="archive",
    target=PLAN,
    label="Sell it no longer",
    icon="archive",
    description="It leaves the price list. Customers who bought it keep it.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=archive_plan,
    available_for=lambda row: row.is_active,
    is_destructive=True,
    is_billing=True,
    audit=PLAN_EDITED,
)


def unarchive_plan(row: Plan, context: ActionContext, *, reason: str) -> ActionResult:
    plans.unarchive_plan(row.pk, by=context.user.pk, reason=reason)
    return ActionResult(f"{row} is sold again.")


UNARCHIVE_PLAN = StaffAction(
    name="unarchive",
    target=PLAN,
    label="Sell it again",
    icon="unarchive",
    description="It can be bought at its current prices again.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=unarchive_plan,
    available_for=lambda row: not row.is_active,
    is_billing=True,
    audit=PLAN_EDITED,
)


def retire_price(row: Price, context: ActionContext, *, reason: str) -> ActionResult:
    prices.retire_price(row, by=context.user.pk, reason=reason)
    return ActionResult("Nothing new is sold at this price.")


RETIRE_PRICE = StaffAction(
    name="retire",
    target=PRICE,
    label="Sell at it no longer",
    icon="block",
    description="The plan is sold no longer for this interval and currency. Customers who bought it keep it.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=retire_price,
    available_for=lambda row: row.is_current and row.plan_id is not None,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("price.retired", "Retired a price", WARN),),
)
