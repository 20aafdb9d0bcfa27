"""Promotion codes, as staff make them and give them."""

from typing import Any

from rest_framework import serializers

from admin_ops.serializers.access import REASON_LENGTH
from saas.api.fields import OptionalIntegerField, StrictCharField, StrictDecimalField
from saas.billing.catalogue.promotions import LONGEST_MONTHS, MOST_REDEMPTIONS
from saas.billing.invoices.refunds import LARGEST_CREDIT_CENTS
from saas.billing.models import PromotionCode

CODE_LENGTH = 64


class PromotionCodeBody(serializers.Serializer[Any]):
    code = StrictCharField(max_length=CODE_LENGTH, help_text="Letters, digits and hyphens; stored in capitals.")
    name = StrictCharField(max_length=100, required=False, default="", allow_blank=True)
    duration = serializers.ChoiceField(PromotionCode.Duration.choices)
    duration_months = OptionalIntegerField(min_value=1, max_value=LONGEST_MONTHS, help_text="If repeating.")
    percent_off = StrictDecimalField(
        max_digits=5,
        decimal_places=2,
        min_value=0,
        max_value=100,
        required=False,
        allow_null=True,
        default=None,
    )
    amount_off_cents = OptionalIntegerField(min_value=1, max_value=LARGEST_CREDIT_CENTS, help_text="Minor units.")
    currency = StrictCharField(max_length=3, required=False, default="", allow_blank=True, help_text="Of the amount.")
    max_redemptions = OptionalIntegerField(
        min_value=1, max_value=MOST_REDEMPTIONS, help_text="By paid checkouts; null is any number."
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    reason = StrictCharField(max_length=REASON_LENGTH)


class PromotionCodeShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    code = serializers.CharField()
    name = serializers.CharField()
    percent_off = serializers.FloatField(allow_null=True)
    amount_off_cents = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    duration = serializers.ChoiceField(PromotionCode.Duration.choices)
    duration_months = serializers.IntegerField(allow_null=True)
    max_redemptions = serializers.IntegerField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    is_active = serializers.BooleanField()


class NewPromotionCodeShape(serializers.Serializer[Any]):
    promotion_code = PromotionCodeShape()


class DiscountBody(serializers.Serializer[Any]):
    promotion_code = StrictCharField(max_length=CODE_LENGTH)
    reason = StrictCharField(max_length=REASON_LENGTH)
