"""The forms of staff actions on the pages of Django admin."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from admin_ops.serializers.impersonations import TICKET_LENGTH
from admin_ops.serializers.users import NOTE_LENGTH, REASON_LENGTH
from saas.accounts.staff.impersonations import MAX_MINUTES
from saas.billing.entitlements import FREE_LIMITS
from saas.billing.models import EntitlementOverride, Plan
from saas.billing.overrides import TEAM_LIMITS


def _reason(*, required: bool) -> forms.CharField:
    return forms.CharField(
        max_length=REASON_LENGTH,
        required=required,
        help_text="Kept in the audit trail.",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )


class ActionForm(forms.Form):
    def arguments(self) -> dict[str, Any]:
        """The input of the action's ``run``."""
        return self.cleaned_data


class ReasonForm(ActionForm):
    reason = _reason(required=True)


class OptionalReasonForm(ActionForm):
    reason = _reason(required=False)


class NoteForm(ActionForm):
    text = forms.CharField(
        label="Note",
        max_length=NOTE_LENGTH,
        help_text="For colleagues. Never changed; the customer reads it only by asking for everything we hold.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )


class ImpersonateForm(ReasonForm):
    ticket = forms.CharField(
        max_length=TICKET_LENGTH, required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    minutes = forms.IntegerField(
        min_value=1, max_value=MAX_MINUTES, initial=MAX_MINUTES, widget=UnfoldAdminIntegerFieldWidget
    )
    current_password = forms.CharField(
        label="Your password",
        max_length=4096,
        required=False,
        strip=False,
        help_text="Only if you logged in more than five minutes ago.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
    )


class _DayInput(UnfoldAdminTextInputWidget):
    """The browser's own calendar, which needs no script."""

    input_type = "date"


def end_of_day(day: date) -> datetime:
    """The midnight after ``day``, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _last_day() -> forms.DateField:
    return forms.DateField(
        label="Last day", widget=_DayInput, help_text="It ends after this day (UTC), and can be ended before."
    )


class GivePlanForm(ReasonForm):
    plan = forms.ModelChoiceField(
        Plan.objects.order_by("price_cents"), empty_label="Choose a plan", widget=UnfoldAdminSelectWidget
    )
    last_day = _last_day()

    def arguments(self) -> dict[str, Any]:
        return {
            "kind": EntitlementOverride.Kind.PLAN,
            "key": self.cleaned_data["plan"].pk,
            "expires_at": end_of_day(self.cleaned_data["last_day"]),
            "reason": self.cleaned_data["reason"],
        }


class MapPriceForm(ReasonForm):
    plan = forms.ModelChoiceField(
        Plan.objects.order_by("price_cents"), empty_label="Choose a plan", widget=UnfoldAdminSelectWidget
    )
    price_id = forms.CharField(
        label="Price",
        max_length=255,
        required=False,
        help_text="Only where the subscription has several: the provider's id of the plan's own. The others are add-ons.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def arguments(self) -> dict[str, Any]:
        return {
            "plan_id": self.cleaned_data["plan"].pk,
            "price_id": self.cleaned_data["price_id"],
            "reason": self.cleaned_data["reason"],
        }


class GiveMoreForm(ReasonForm):
    """One limit or one feature."""

    limits: ClassVar[Sequence[str]] = list(FREE_LIMITS)
    what = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    value = forms.IntegerField(
        label="How many",
        min_value=0,
        required=False,
        help_text="For a limit; nothing means without limit.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    last_day = _last_day()

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        features = sorted({name for plan in Plan.objects.all() for name in plan.features})
        limits = [(f"limit:{key}", f"Limit: {key.replace('_', ' ')}") for key in self.limits]
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = [*limits, *((f"feature:{name}", f"Feature: {name}") for name in features)]

    def arguments(self) -> dict[str, Any]:
        kind, _, key = self.cleaned_data["what"].partition(":")
        return {
            "kind": kind,
            "key": key,
            "value": self.cleaned_data["value"],
            "expires_at": end_of_day(self.cleaned_data["last_day"]),
            "reason": self.cleaned_data["reason"],
        }


class GiveTeamMoreForm(GiveMoreForm):
    limits = TEAM_LIMITS


class ExtendTrialForm(ReasonForm):
    days = forms.IntegerField(
        label="Days more",
        min_value=1,
        max_value=365,
        initial=14,
        help_text="Counted from the trial's present end.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
