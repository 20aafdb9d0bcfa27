"""Subscriptions and invoices, as staff see them."""

from typing import Any

from rest_framework import serializers

from saas.api.fields import StrictCharField
from saas.api.pagination import PageQuery, PageShape
from saas.api.representation import represent
from saas.billing.models import Subscription


class SubscriptionsQuery(PageQuery):
    status = StrictCharField(max_length=64, required=False, default="", allow_blank=True)
    plan = StrictCharField(max_length=32, required=False, default="", allow_blank=True)


class PlanNameShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class SubscriptionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    user_id = serializers.CharField(
        source="customer.user_id", allow_null=True, help_text="The user who bought it for themselves."
    )
    team_id = serializers.CharField(
        source="customer.team_id", allow_null=True, help_text="Without either, only the provider knows the customer."
    )
    email = serializers.CharField()
    plan = PlanNameShape(allow_null=True)
    plan_is_known = serializers.BooleanField(
        help_text="False: nothing says for which plan the price stands; the plan is what it was before."
    )
    status = serializers.CharField()
    price_monthly = serializers.FloatField(source="monthly.units")
    currency = serializers.CharField()
    quantity = serializers.IntegerField()
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField(
        source="ends_with_period", help_text="It ends before it would take money again."
    )
    cancel_at = serializers.DateTimeField(
        source="ends_at", allow_null=True, help_text="When it ends, if it was canceled."
    )
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    trial_end = serializers.DateTimeField(allow_null=True)
    external_id = serializers.CharField(help_text="The provider's id.")


def represent_subscription(row: Subscription) -> dict[str, Any]:
    """``row`` comes ``with_customer()``."""
    owner = row.customer.user
    email = owner.email if owner else row.customer.email
    return represent(SubscriptionShape, row, email=email, plan_is_known=not row.has_unknown_plan)


class SubscriptionsShape(PageShape):
    subscriptions = SubscriptionShape(many=True)


class OneSubscriptionShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape()


def represent_one_subscription(row: Subscription) -> dict[str, Any]:
    return {"subscription": represent_subscription(row)}


class InvoiceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.CharField()
    total = serializers.FloatField(source="total.units")
    currency = serializers.CharField()
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
