"""Promotion codes: making them, ending them, and giving a customer who pays already what one takes off."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Effect, Endpoint, StaffAction, Target
from admin_ops.actions.billing import SUBSCRIPTION, is_live_subscription
from admin_ops.actions.forms import DayInput, ReasonForm, amount_field, end_of_day, known_currency
from admin_ops.serializers import promotions as shapes
from admin_ops.serializers.billing import OneSubscriptionShape, represent_one_subscription
from admin_ops.status_colors import GOOD, NEWS, WARN
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.representation import represent
from saas.billing import clock, subscriptions
from saas.billing.catalogue import promotions
from saas.billing.catalogue.promotions import PromotionCodeExists, find_promotion_code
from saas.billing.models import PromotionCode, Subscription
from saas.billing.subscriptions import NotSubscribed
from saas.money import Money

PROMOTION_CODE = Target(
    PromotionCode, StaffPermission.READ_BILLING, lambda row_id: PromotionCode.objects.filter(pk=row_id).first()
)


class PromotionCodeForm(ReasonForm):
    """A percentage or an amount off."""

    code = forms.CharField(
        max_length=shapes.CODE_LENGTH,
        help_text="What customers enter: letters, digits and hyphens.",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )
    name = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget)
    percent_off = forms.DecimalField(
        label="Percent off",
        max_digits=5,
        decimal_places=2,
        required=False,
        help_text="Either a percentage or an amount.",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    amount = amount_field(required=False)
    currency = forms.CharField(
        max_length=3,
        required=False,
        help_text="Of the amount.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    duration = forms.ChoiceField(
        label="Off",
        choices=[("once", "One invoice"), ("repeating", "Each invoice for some months"), ("forever", "Each invoice")],
        widget=UnfoldAdminSelectWidget,
    )
    duration_months = forms.IntegerField(label="Months", required=False, widget=UnfoldAdminIntegerFieldWidget)
    max_redemptions = forms.IntegerField(
        label="How often", required=False, help_text="Empty: any number of times.", widget=UnfoldAdminIntegerFieldWidget
    )
    last_day = forms.DateField(required=False, widget=DayInput, help_text="Empty: without an end.")
    field_order = (
        "code", "name", "percent_off", "amount", "currency", "duration", "duration_months", "max_redemptions", "last_day",
        "reason",
    )  # fmt: skip

    def clean_currency(self) -> str:
        if currency := self.cleaned_data["currency"]:
            return known_currency(currency)
        if self.cleaned_data.get("amount"):
            raise forms.ValidationError("Which currency is the amount in?")
        return ""

    def arguments(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        amount, last_day = values.pop("amount"), values.pop("last_day")
        cents = Money.from_units(amount, values["currency"]).minor if amount else None
        return values | {"amount_off_cents": cents, "expires_at": end_of_day(last_day) if last_day else None}


class DiscountForm(ReasonForm):
    promotion_code = forms.ChoiceField(label="Promotion code", widget=UnfoldAdminSelectWidget)

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        code = self.fields["promotion_code"]
        assert isinstance(code, forms.ChoiceField)
        found = PromotionCode.objects.redeemable(clock.now()).order_by("code")
        code.choices = [("", "Choose a code"), *((one.code, f"{one}: {one.off} off {one.span}") for one in found)]


def create_promotion_code(row: None, context: ActionContext, *, code: str, reason: str, **terms: Any) -> ActionResult:
    made = promotions.create_promotion_code(code, by=context.user.pk, reason=reason, **terms)
    return ActionResult(f"{made} can be redeemed from now on.", made)


def _effect_of_creating_a_code(row: None, *, code: str, **terms: Any) -> Effect:
    draft = promotions.draft_promotion_code(code, **terms)
    often = f"{draft.max_redemptions} times at most" if draft.max_redemptions else "any number of times"
    until = f"until {draft.expires_at - timedelta(days=1):%-d %b %Y}" if draft.expires_at else "without an end"
    return Effect(
        (
            f"Customers who enter {draft} at the checkout have {draft.off} off {draft.span}.",
            f"It can be redeemed {often}, {until}, and given by staff.",
        )
    )


CREATE_PROMOTION_CODE = StaffAction(
    name="create",
    target=PROMOTION_CODE,
    label="New promotion code",
    icon="add",
    description="A discount that customers enter at the checkout, or that staff give. Its terms cannot be changed later.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=create_promotion_code,
    form=PromotionCodeForm,
    effect=_effect_of_creating_a_code,
    creates_a_row=True,
    is_billing=True,
    audit=(AuditLabel("promotion_code.created", "Created a promotion code", NEWS),),
    endpoint=Endpoint(
        path="promotion-codes",
        operation_id="staff_promotion_code_create",
        summary="Create a promotion code",
        description="Either `percent_off`, or `amount_off_cents` with its `currency`.",
        tag="billing",
        body=shapes.PromotionCodeBody,
        status=201,
        response=shapes.NewPromotionCodeShape,
        represent=lambda row: {"promotion_code": represent(shapes.PromotionCodeShape, row)},
        refusals=(PromotionCodeExists,),
    ),
)


def end_promotion_code(row: PromotionCode, context: ActionContext, *, reason: str) -> ActionResult:
    promotions.end_promotion_code(row, by=context.user.pk, reason=reason)
    return ActionResult(f"{row} can be redeemed no longer.")


END_PROMOTION_CODE = StaffAction(
    name="end",
    target=PROMOTION_CODE,
    label="End it",
    icon="block",
    description="It can be redeemed no longer. Discounts that it has given go on.",
    permission=StaffPermission.EDIT_CATALOGUE,
    run=end_promotion_code,
    available_for=lambda row: row.is_active,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("promotion_code.ended", "Ended a promotion code", WARN),),
)


def give_discount(row: Subscription, context: ActionContext, *, promotion_code: str, reason: str) -> ActionResult:
    given = subscriptions.give_discount(row, code=promotion_code, reason=reason, by=context.user)
    return ActionResult(f"{promotion_code.upper()} is taken off from now on.", given)


def _effect_of_giving(row: Subscription, *, promotion_code: str) -> Effect:
    found = find_promotion_code(promotion_code, currency=row.currency)
    upcoming = subscriptions.preview_next_invoice(row)
    sentences = [f"{found} takes {found.off} off {found.span}, in addition to other discounts."]
    if upcoming and upcoming.next_charge_at:
        due = Money(upcoming.due_cents, upcoming.currency)
        sentences.append(f"Without it, {due} would be charged on {upcoming.next_charge_at:%-d %b %Y}.")
    return Effect((*sentences, "Nothing that was paid already is given back."))


GIVE_DISCOUNT = StaffAction(
    name="give-discount",
    target=SUBSCRIPTION,
    label="Give a discount",
    icon="percent",
    description="What a promotion code takes off, from the next invoice on.",
    permission=StaffPermission.REFUND,
    run=give_discount,
    form=DiscountForm,
    effect=_effect_of_giving,
    available_for=is_live_subscription,
    unavailable=NotSubscribed.title,
    is_billing=True,
    audit=(AuditLabel("subscription.discount_given", "Was given a discount", GOOD),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/discount",
        operation_id="staff_subscription_discount",
        summary="Give a discount by a promotion code",
        description="From the next invoice on, in addition to other discounts.",
        tag="billing",
        body=shapes.DiscountBody,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
        refusals=(NotSubscribed,),
    ),
)
