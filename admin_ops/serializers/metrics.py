"""Metrics of users, revenue and webhooks."""

from typing import Any

from rest_framework import serializers

from saas.api.fields import StrictCharField
from saas.billing.models import LedgerEntry


class DayShape(serializers.Serializer[Any]):
    day = serializers.DateField()
    count = serializers.IntegerField()


class UserMetricsShape(serializers.Serializer[Any]):
    total_users = serializers.IntegerField()
    active_users = serializers.IntegerField()
    disabled_users = serializers.IntegerField()
    deleted_users = serializers.IntegerField(help_text="In no total.")
    verified_users = serializers.IntegerField()
    signups_today = serializers.IntegerField()
    signups_7d = serializers.IntegerField()
    signups_30d = serializers.IntegerField()
    active_1d = serializers.IntegerField()
    active_7d = serializers.IntegerField()
    active_30d = serializers.IntegerField()
    signups_by_day = DayShape(many=True)


class CurrencyShape(serializers.Serializer[Any]):
    currency = serializers.CharField()
    monthly_recurring_revenue = serializers.FloatField()
    subscriptions = serializers.IntegerField()


class MovementShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(LedgerEntry.Kind.choices)
    count = serializers.IntegerField()
    amount = serializers.FloatField(help_text="By how much it changed the monthly revenue.")


class MonthShape(serializers.Serializer[Any]):
    """``opening + new + expansion + reactivation - contraction - churn = closing``."""

    month = serializers.DateField(help_text="Its first day.")
    opening = serializers.FloatField()
    new = serializers.FloatField()
    expansion = serializers.FloatField()
    reactivation = serializers.FloatField()
    contraction = serializers.FloatField()
    churn = serializers.FloatField()
    closing = serializers.FloatField()
    opening_customers = serializers.IntegerField()
    new_customers = serializers.IntegerField()
    reactivation_customers = serializers.IntegerField()
    churn_customers = serializers.IntegerField()
    closing_customers = serializers.IntegerField()
    revenue_churn = serializers.FloatField(allow_null=True, help_text="Share of the opening revenue.")
    customer_churn = serializers.FloatField(allow_null=True, help_text="Share of the opening customers.")
    net_revenue_retention = serializers.FloatField(
        allow_null=True, help_text="What those who paid at the opening pay at the closing, as a share of it."
    )


class CohortShape(serializers.Serializer[Any]):
    cohort = serializers.DateField(help_text="The first day of the month in which they first paid.")
    customers = serializers.IntegerField()
    retained = serializers.ListField(
        child=serializers.IntegerField(), help_text="How many paid at the end of that month and of each one since."
    )
    revenue = serializers.ListField(child=serializers.FloatField(), help_text="How much they did.")


class RevenueQuery(serializers.Serializer[Any]):
    currency = StrictCharField(
        max_length=3,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of which currency the figures are; that in which most subscriptions are paid, if none is named.",
    )


class RevenueExportQuery(serializers.Serializer[Any]):
    currency = StrictCharField(
        max_length=3,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of one currency; of all, if none is named.",
    )


class RevenueShape(serializers.Serializer[Any]):
    active_subscriptions = serializers.IntegerField()
    trialing_subscriptions = serializers.IntegerField()
    past_due_subscriptions = serializers.IntegerField(help_text="Still in the revenue: the provider is trying again.")
    canceling_subscriptions = serializers.IntegerField(help_text="Active until their period ends.")
    currency = serializers.CharField(help_text="Of all amounts below but `by_currency`.")
    monthly_recurring_revenue = serializers.FloatField(help_text="In whole units of the currency.")
    arr = serializers.FloatField()
    arpu = serializers.FloatField(help_text="A month and paying customer.")
    paying_customers = serializers.IntegerField(help_text="In this currency.")
    by_currency = CurrencyShape(many=True)
    churn_30d = serializers.FloatField(allow_null=True, help_text="Share of the revenue 30 days ago that was lost.")
    customer_churn_30d = serializers.FloatField(allow_null=True, help_text="Share of the customers 30 days ago.")
    net_revenue_retention_30d = serializers.FloatField(
        allow_null=True, help_text="What those who paid 30 days ago pay today, as a share of it."
    )
    movements_30d = MovementShape(many=True)
    months = MonthShape(many=True)
    cohorts = CohortShape(many=True)


class WebhookLagShape(serializers.Serializer[Any]):
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class WebhookMetricsShape(serializers.Serializer[Any]):
    by_status = serializers.DictField(child=serializers.IntegerField(), help_text="Each exact to 10,000.")
    counts_are_exact = serializers.BooleanField()
    due = serializers.IntegerField(help_text="Waiting, and could be acted on now.")
    oldest_due_seconds = serializers.FloatField()
    last_hour = serializers.DictField(child=serializers.IntegerField(), help_text="What came, by what became of it.")
    failure_rate = serializers.FloatField(allow_null=True, help_text="Of the last hour.")
    lag_seconds = WebhookLagShape(help_text="From arrival to effect, of the newest thousand.")
