"""The forms of staff actions on the pages of Django admin."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from admin_ops.serializers.access import REASON_LENGTH, CancelAt
from admin_ops.serializers.impersonations import TICKET_LENGTH
from admin_ops.serializers.users import NOTE_LENGTH
from saas.accounts.metadata import MAX_KEY_LENGTH, MAX_VALUE_LENGTH
from saas.accounts.models import StaffRole
from saas.accounts.staff.impersonations import MAX_MINUTES
from saas.accounts.staff.staff_roles import roles_of
from saas.billing.catalogue import limits_and_features
from saas.billing.models import EntitlementOverride, Interval, Plan
from saas.money import Money, is_known_currency


def _reason(*, required: bool) -> forms.CharField:
    return forms.CharField(
        max_length=REASON_LENGTH,
        required=required,
        help_text="Kept in the audit trail.",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )


class ActionForm(forms.Form):
    """``row`` is what the action is about, for fields that depend on it; none in bulk."""

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data)
        self.row = row

    def arguments(self) -> dict[str, Any]:
        """The input of the action's ``run``."""
        return self.cleaned_data

    def arguments_so_far(self) -> dict[str, Any] | None:
        """The arguments without the reason, which changes nothing; ``None`` as long as others are missing or wrong. An empty
        form has its initial values."""
        form = self if self.is_bound else self._filled()
        if set(form.errors) - {"reason"}:
            return None
        form.cleaned_data.setdefault("reason", "")
        arguments = form.arguments()
        return {name: value for name, value in arguments.items() if name != "reason"}

    def _filled(self) -> "ActionForm":
        initial = {name: self.get_initial_for_field(field, name) for name, field in self.fields.items()}
        return type(self)({name: value for name, value in initial.items() if value is not None}, row=self.row)


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


class MetadataForm(OptionalReasonForm):
    """One key at a time."""

    key = forms.CharField(
        max_length=MAX_KEY_LENGTH,
        help_text="The audit trail names it, so let it say nothing about a person.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    value = forms.CharField(
        max_length=MAX_VALUE_LENGTH,
        required=False,
        strip=False,
        help_text="Empty removes the key.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    field_order = ("key", "value", "reason")

    def arguments(self) -> dict[str, Any]:
        metadata = {self.cleaned_data["key"]: self.cleaned_data["value"]}
        return {"metadata": metadata, "reason": self.cleaned_data["reason"]}


class ImpersonateForm(ReasonForm):
    ticket = forms.CharField(
        max_length=TICKET_LENGTH, required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    minutes = forms.IntegerField(
        min_value=1, max_value=MAX_MINUTES, initial=MAX_MINUTES, widget=UnfoldAdminIntegerFieldWidget
    )


class DayInput(UnfoldAdminTextInputWidget):
    """The browser's own calendar, which needs no script."""

    input_type = "date"


LAST_DAY = date(9999, 12, 30)  # the midnight after it can be written


def end_of_day(day: date) -> datetime:
    """The midnight after ``day``, in UTC."""
    return datetime.combine(min(day, LAST_DAY) + timedelta(days=1), time(), UTC)


def _last_day() -> forms.DateField:
    return forms.DateField(
        label="Last day", widget=DayInput, help_text="It ends after this day (UTC), and can be ended before."
    )


class RolesForm(ReasonForm):
    roles = forms.MultipleChoiceField(choices=StaffRole.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget)
    field_order = ("roles", "reason")

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        self.fields["roles"].initial = roles_of(row)


class GivePlanForm(ReasonForm):
    plan = forms.ModelChoiceField(Plan.objects.in_order(), empty_label="Choose a plan", widget=UnfoldAdminSelectWidget)
    last_day = _last_day()

    def arguments(self) -> dict[str, Any]:
        return {
            "kind": EntitlementOverride.Kind.PLAN,
            "key": self.cleaned_data["plan"].pk,
            "expires_at": end_of_day(self.cleaned_data["last_day"]),
            "reason": self.cleaned_data["reason"],
        }


def amount_field(*, required: bool, help_text: str = "") -> forms.DecimalField:
    """In whole units of a currency, as people write it."""
    return forms.DecimalField(
        label="Amount",
        min_value=Decimal("0.001"),
        max_digits=15,
        decimal_places=3,
        required=required,
        help_text=help_text,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


def known_currency(code: str) -> str:
    """Return ``code`` in lower case, as it is stored. Raises ``ValidationError``."""
    currency = code.lower()
    if not is_known_currency(currency):
        raise forms.ValidationError("Give a currency's code of ISO 4217, such as EUR.")
    return currency


class RefundForm(ReasonForm):
    amount = amount_field(
        required=False, help_text="In whole units of the invoice's currency. Empty: all that is left."
    )

    def arguments(self) -> dict[str, Any]:
        amount: Decimal | None = self.cleaned_data["amount"]
        minor = None if amount is None else Money.from_units(amount, self.row.currency).minor
        return {"amount_cents": minor, "reason": self.cleaned_data["reason"]}


class CreditForm(ReasonForm):
    amount = amount_field(required=True)
    currency = forms.CharField(
        min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        paid = row.invoices.exclude(currency="").order_by("-pk").values_list("currency", flat=True).first()
        self.fields["currency"].initial = (paid or settings.BILLING_CURRENCY).upper()

    def clean_currency(self) -> str:
        return known_currency(self.cleaned_data["currency"])

    def arguments(self) -> dict[str, Any]:
        currency = self.cleaned_data["currency"]
        amount = Money.from_units(self.cleaned_data["amount"], currency)
        return {"amount_cents": amount.minor, "currency": currency, "reason": self.cleaned_data["reason"]}


class CancelForm(ReasonForm):
    when = forms.ChoiceField(
        label="When", choices=CancelAt.choices, initial=CancelAt.PERIOD_END, widget=UnfoldAdminSelectWidget
    )


class ChangePlanForm(ReasonForm):
    plan_id = forms.ModelChoiceField(
        Plan.objects.on_sale(), label="Plan", empty_label="Choose a plan", widget=UnfoldAdminSelectWidget
    )
    interval = forms.ChoiceField(
        label="Paid", choices=[("", "as before"), *Interval.choices], required=False, widget=UnfoldAdminSelectWidget
    )

    def arguments(self) -> dict[str, Any]:
        return {**self.cleaned_data, "plan_id": self.cleaned_data["plan_id"].pk}


class LinkCustomerForm(ReasonForm):
    account = forms.CharField(
        max_length=254,
        help_text="The id of a user or team, or an address that a user has confirmed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )


class MovePriceForm(ReasonForm):
    day = forms.DateField(widget=DayInput, help_text="It begins with this day (UTC), at least two weeks ahead.")

    def arguments(self) -> dict[str, Any]:
        return {
            "effective_at": datetime.combine(self.cleaned_data["day"], time(), UTC),
            "reason": self.cleaned_data["reason"],
        }


class MapPriceForm(ReasonForm):
    plan = forms.ModelChoiceField(Plan.objects.in_order(), empty_label="Choose a plan", widget=UnfoldAdminSelectWidget)
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


class EditPlanForm(ReasonForm):
    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(max_length=500, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    is_visible = forms.ChoiceField(
        label="In the price list", choices=[("yes", "Yes"), ("no", "No")], widget=UnfoldAdminSelectWidget
    )
    position = forms.IntegerField(help_text="Lower ones stand first.", widget=UnfoldAdminIntegerFieldWidget)
    field_order = ("name", "description", "is_visible", "position", "reason")

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        for name in ("name", "description", "position"):
            self.fields[name].initial = getattr(row, name)
        self.fields["is_visible"].initial = "yes" if row.is_visible else "no"

    def clean_is_visible(self) -> bool:
        return bool(self.cleaned_data["is_visible"] == "yes")


class ChangePriceForm(ReasonForm):
    amount = amount_field(required=True, help_text="For each interval, or for each seat and interval.")
    currency = forms.CharField(
        min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    interval = forms.ChoiceField(choices=Interval.choices, widget=UnfoldAdminSelectWidget)
    field_order = ("amount", "currency", "interval", "reason")

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        self.fields["currency"].initial = row.currency.upper()

    def arguments(self) -> dict[str, Any]:
        currency = self.cleaned_data["currency"].lower()
        amount = Money.from_units(self.cleaned_data["amount"], currency)
        return {
            "amount_cents": amount.minor,
            "currency": currency,
            "interval": self.cleaned_data["interval"],
            "reason": self.cleaned_data["reason"],
        }


class GiveMoreForm(ReasonForm):
    """One limit or one feature."""

    limits: ClassVar[Sequence[str]] = limits_and_features.limit_keys()
    what = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    value = forms.IntegerField(
        label="How many",
        min_value=0,
        required=False,
        help_text="For a limit; nothing means without limit.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    last_day = _last_day()

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: Any = None) -> None:
        super().__init__(data, row=row)
        limits = [(f"limit:{key}", f"Limit: {key.replace('_', ' ')}") for key in self.limits]
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = [
            *limits,
            *((f"feature:{key}", f"Feature: {key}") for key in sorted(limits_and_features.feature_keys())),
        ]

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
    limits = limits_and_features.limit_keys(of_team=True)


class ExtendTrialForm(ReasonForm):
    days = forms.IntegerField(
        label="Days more",
        min_value=1,
        max_value=365,
        initial=14,
        help_text="Counted from the trial's present end.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
