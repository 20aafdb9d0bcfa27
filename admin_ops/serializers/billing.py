"""Who pays what."""

from typing import Any

from rest_framework import serializers

from admin_ops.serializers.lists import PageShape
from saas.api.fields import StrictCharField
from saas.api.pagination import PageQuery


class SubscriptionsQuery(PageQuery):
    status = StrictCharField(max_length=64, required=False, default="", allow_blank=True)
    plan = StrictCharField(max_length=32, required=False, default="", allow_blank=True)


class PlanNameShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class SubscriptionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    user_id = serializers.CharField(allow_null=True, help_text="Who bought it for herself.")
    team_id = serializers.CharField(allow_null=True, help_text="Without either, only the provider knows the customer.")
    email = serializers.CharField()
    plan = PlanNameShape(allow_null=True)
    plan_is_known = serializers.BooleanField(
        help_text="False: nothing says for which plan the price stands; the plan is what it was before."
    )
    status = serializers.CharField()
    price_monthly = serializers.FloatField()
    currency = serializers.CharField()
    quantity = serializers.IntegerField()
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField(help_text="It ends before it would take money again.")
    cancel_at = serializers.DateTimeField(allow_null=True, help_text="When it ends, if it was canceled.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    trial_end = serializers.DateTimeField(allow_null=True)
    external_id = serializers.CharField(help_text="The provider's id.")


class SubscriptionsShape(PageShape):
    subscriptions = SubscriptionShape(many=True)


class OneSubscriptionShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape()


class InvoiceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.CharField()
    total = serializers.FloatField()
    currency = serializers.CharField()
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
