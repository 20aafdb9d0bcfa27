"""Entitlement overrides: what staff give to a customer or team in addition to what was bought."""

from typing import Any

from rest_framework import serializers

from admin_ops.serializers.lists import PageShape
from saas.api.fields import StrictCharField, StrictIntegerField
from saas.api.representation import represent
from saas.billing.models import EntitlementOverride
from saas.billing.overrides import LARGEST_LIMIT

REASON_LENGTH = 500
KEY_LENGTH = 64


class OverrideBody(serializers.Serializer[Any]):
    """``key`` names the plan, the limit or the feature, as ``kind`` says."""

    kind = serializers.ChoiceField(EntitlementOverride.Kind.choices)
    key = StrictCharField(max_length=KEY_LENGTH, help_text="`growth`, `seats` or `sso`.")
    value = StrictIntegerField(
        min_value=0,
        max_value=LARGEST_LIMIT,
        required=False,
        allow_null=True,
        default=None,
        help_text="Of a limit; null is no limit.",
    )
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
