"""The bodies, queries and answers of billing. Answers are built from the shapes (``saas.api.representation``)."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from saas.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from saas.api.pagination import PageQuery, PageShape
from saas.billing.models import Checkout, Invoice

PAYMENT_METHOD_TYPES = ["card", "bank_account", "sepa_debit", "us_bank_account", "paypal", "link"]
_LATEST_YEAR = 2100


class TeamField(StrictCharField):
    """Whose subscription: the caller's own (empty), or that of one of their teams."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, required=False, default="", allow_blank=True, **options)


class TeamBody(serializers.Serializer[Any]):
    team_id = TeamField()


class PortalBody(TeamBody):
    """Whose page."""


class OwnedPageQuery(PageQuery, TeamBody):
    """One page of what the caller, or one of their teams, has."""


class CheckoutBody(TeamBody):
    plan_id = StrictCharField(max_length=32)


class ChangeBody(TeamBody):
    plan_id = StrictCharField(max_length=32)


class CancelBody(TeamBody):
    at_period_end = StrictBooleanField(default=True)
    reason = StrictCharField(max_length=500, required=False, default="", allow_blank=True)


class PaymentMethodBody(TeamBody):
    type = serializers.ChoiceField(PAYMENT_METHOD_TYPES)
    provider = StrictCharField(max_length=64, help_text="The brand, such as visa.")
    last4 = StrictCharField(max_length=4, min_length=4)
    exp_month = StrictIntegerField(min_value=1, max_value=12, required=False, allow_null=True, default=None)
    exp_year = StrictIntegerField(min_value=2000, max_value=_LATEST_YEAR, required=False, allow_null=True, default=None)

    def validate_last4(self, value: str) -> str:
        if not (value.isascii() and value.isdigit()):
            raise serializers.ValidationError("Give the last four digits.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        month, year = attrs["exp_month"], attrs["exp_year"]
        if attrs["type"] == "card" and (month is None or year is None):
            raise serializers.ValidationError({"exp_month": ["A card has a month and a year of expiry."]})
        today = timezone.now()
        if month and year and (year, month) < (today.year, today.month):
            raise serializers.ValidationError({"exp_year": ["This has expired."]})
        return attrs


class LimitsShape(serializers.Serializer[Any]):
    teams = serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
    seats = serializers.IntegerField(allow_null=True)
    api_keys = serializers.IntegerField(allow_null=True)


class PlanShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    price_monthly = serializers.FloatField(help_text="In whole units of the currency.")
    currency = serializers.CharField()
    features = serializers.ListField(child=serializers.CharField())
    limits = LimitsShape()


class PlansShape(serializers.Serializer[Any]):
    plans = PlanShape(many=True)


class CheckoutShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(Checkout.Status.choices)
    plan = PlanShape()
    started_at = serializers.DateTimeField()
    checkout_url = serializers.CharField(allow_null=True, help_text="Where the customer pays; null if all is done.")


class OneCheckoutShape(serializers.Serializer[Any]):
    checkout = CheckoutShape()


class SubscriptionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    plan = PlanShape(allow_null=True)
    status = serializers.CharField(help_text="As the payment provider names it.")
    has_access = serializers.BooleanField()
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField(
        source="ends_with_period", help_text="It ends before it would take money again."
    )
    cancel_at = serializers.DateTimeField(
        source="ends_at", allow_null=True, help_text="When it ends, if it was canceled; until then it can be resumed."
    )
    trial_end = serializers.DateTimeField(allow_null=True)
    past_due_since = serializers.DateTimeField(allow_null=True)
    canceled_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField()


class CurrentShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape(allow_null=True)


class OneSubscriptionShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape()


class PreviewShape(serializers.Serializer[Any]):
    plan = PlanShape()
    next_invoice_cents = serializers.IntegerField(
        source="due_cents", help_text="The new price and what the change costs or credits."
    )
    currency = serializers.CharField()
    next_charge_at = serializers.DateTimeField(allow_null=True)


class OnePreviewShape(serializers.Serializer[Any]):
    preview = PreviewShape()


class PaymentMethodShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    provider = serializers.CharField(source="brand")
    last4 = serializers.CharField()
    exp_month = serializers.IntegerField(allow_null=True)
    exp_year = serializers.IntegerField(allow_null=True)
    is_default = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class OnePaymentMethodShape(serializers.Serializer[Any]):
    payment_method = PaymentMethodShape()


class PaymentMethodsShape(PageShape):
    payment_methods = PaymentMethodShape(many=True)


class InvoiceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.ChoiceField(Invoice.Status.choices)
    currency = serializers.CharField()
    total_cents = serializers.IntegerField()
    amount_due_cents = serializers.IntegerField()
    amount_paid_cents = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField(allow_null=True)


class InvoicesShape(PageShape):
    invoices = InvoiceShape(many=True)


class EntitlementShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The limit's or the feature's name.")
    value = serializers.IntegerField(allow_null=True, help_text="A limit's; null is no limit. Null for a feature.")
    source = serializers.ChoiceField(["free", "subscription", "comp", "override"])  # type: ignore[assignment]
    plan = serializers.CharField(source="plan_id", allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When this source ends, if that is known.")


class EntitlementsShape(serializers.Serializer[Any]):
    limits = LimitsShape()
    features = serializers.ListField(child=serializers.CharField())
    limit_details = EntitlementShape(many=True)
    feature_details = EntitlementShape(many=True)


class PortalShape(serializers.Serializer[Any]):
    url = serializers.CharField()
