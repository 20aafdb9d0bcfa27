"""Entitlement overrides: what staff give to a customer or team in addition to what was bought."""

from typing import Any

from django.db.models import TextChoices
from rest_framework import serializers

from saas.api.fields import OptionalIntegerField, StrictCharField, StrictIntegerField
from saas.api.pagination import PageShape
from saas.api.representation import represent
from saas.billing.catalogue.limits_and_features import LARGEST_LIMIT
from saas.billing.invoices.refunds import LARGEST_CREDIT_CENTS
from saas.billing.models import EntitlementOverride, Interval

REASON_LENGTH = 500
KEY_LENGTH = 64


class OverrideBody(serializers.Serializer[Any]):
    """``key`` names the plan, the limit or the feature, as ``kind`` says."""

    kind = serializers.ChoiceField(EntitlementOverride.Kind.choices)
    key = StrictCharField(max_length=KEY_LENGTH, help_text="`growth`, `seats` or `sso`.")
    value = OptionalIntegerField(min_value=0, max_value=LARGEST_LIMIT, help_text="Of a limit; null is no limit.")
    expires_at = serializers.DateTimeField(help_text="Within three years.")
    reason = StrictCharField(max_length=REASON_LENGTH)


class TrialBody(serializers.Serializer[Any]):
    trial_end = serializers.DateTimeField(help_text="After the present end, within two years.")
    reason = StrictCharField(max_length=REASON_LENGTH)


class PlanBody(serializers.Serializer[Any]):
    """For which plan the price of a subscription stands, for everybody who pays it."""

    plan_id = StrictCharField(max_length=32)
    price_id = StrictCharField(
        max_length=255,
        required=False,
        default="",
        allow_blank=True,
        help_text="Only of several: the provider's id of the plan's own. The others are add-ons.",
    )
    reason = StrictCharField(max_length=REASON_LENGTH)


class LinkedCustomerBody(serializers.Serializer[Any]):
    account = StrictCharField(
        max_length=254, help_text="A user's or team's id, or an address that a user has confirmed."
    )
    reason = StrictCharField(max_length=REASON_LENGTH)


class CustomerLinkShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    external_id = serializers.CharField(help_text="The provider's id.")
    user_id = serializers.CharField(allow_null=True)
    team_id = serializers.CharField(allow_null=True)


class LinkedCustomerShape(serializers.Serializer[Any]):
    customer = CustomerLinkShape()


class CancelAt(TextChoices):
    NOW_REFUNDED = "now_refunded", "Now, and refund the rest"
    NOW = "now", "Now, without a refund"
    PERIOD_END = "period_end", "At the end of the period"


class CancelBody(serializers.Serializer[Any]):
    when = serializers.ChoiceField(CancelAt.choices, default=CancelAt.NOW_REFUNDED)
    reason = StrictCharField(max_length=REASON_LENGTH)


class ChangePlanBody(serializers.Serializer[Any]):
    plan_id = StrictCharField(max_length=32)
    interval = serializers.ChoiceField(
        Interval.choices, required=False, default="", allow_blank=True, help_text="Empty: as before."
    )
    reason = StrictCharField(max_length=REASON_LENGTH)


class RefundBody(serializers.Serializer[Any]):
    amount_cents = OptionalIntegerField(
        min_value=1, max_value=LARGEST_CREDIT_CENTS, help_text="Minor units; null is all that is left."
    )
    reason = StrictCharField(max_length=REASON_LENGTH)


class CreditBody(serializers.Serializer[Any]):
    amount_cents = StrictIntegerField(min_value=1, max_value=LARGEST_CREDIT_CENTS, help_text="Minor units.")
    currency = StrictCharField(min_length=3, max_length=3)
    reason = StrictCharField(max_length=REASON_LENGTH)


class NetInvoiceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.CharField()
    currency = serializers.CharField()
    amount_paid_cents = serializers.IntegerField()
    returned_cents = serializers.IntegerField(help_text="Refunded, credited, or lost in a dispute.")


class RefundedInvoiceShape(serializers.Serializer[Any]):
    invoice = NetInvoiceShape()


class OverrideShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(EntitlementOverride.Kind.choices)
    key = serializers.CharField()
    value = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()
    by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


def represent_override(row: EntitlementOverride) -> dict[str, Any]:
    by = row.created_by.email if row.created_by else None
    return represent(OverrideShape, row, key=row.plan_id or row.key, by=by)


class OverridesShape(PageShape):
    overrides = OverrideShape(many=True)


class NewOverrideShape(serializers.Serializer[Any]):
    override = OverrideShape()
