"""The dashboard. Each card needs a permission."""

import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from admin_ops import queries
from admin_ops.admin.pages.alarms import alarm_counts
from admin_ops.admin.permissions import request_permissions
from admin_ops.entry_labels import label_audit_event
from admin_ops.revenue import revenue_metrics
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.audit.models import AuditEvent
from saas.billing import clock
from saas.billing.models import LedgerEntry, Subscription
from saas.billing.models.ledger import MOVED_CENTS
from saas.money import Money
from saas.operations.models import Heartbeat
from saas.webhook_events.models import WebhookAlert, WebhookEvent
from saas.webhook_events.monitoring.statistics import inbox_statistics

SHOWN = 6
DAYS = 30
CURRENCY_LENGTH = 3  # of its code
MAX_DUE_SECONDS = 60
MAX_HEARTBEAT_AGE = timedelta(seconds=30)
AXES = json.dumps(
    {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "plugins": {"legend": {"display": False}},
        "scales": {
            "x": {"grid": {"display": False}, "ticks": {"maxTicksLimit": 8, "maxRotation": 0, "color": "#9ca3af"}},
            "y": {"beginAtZero": True, "ticks": {"precision": 0, "maxTicksLimit": 6, "color": "#9ca3af"}, "grid": {}},
        },
    }
)


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's ``DASHBOARD_CALLBACK``: about thirty short queries."""
    permissions, now = request_permissions(request), timezone.now()
    if StaffPermission.READ_METRICS in permissions:
        context |= {"axes": AXES} | _people(now) | _health(now)
    if StaffPermission.READ_METRICS in permissions and settings.BILLING:
        context |= _money(clock.now(), request.GET.get("currency", ""))
    if StaffPermission.READ_BILLING in permissions and settings.BILLING:
        unpaid = Subscription.objects.with_customer().linked().unpaid()
        context["unpaid"] = list(unpaid.order_by("-past_due_since")[:SHOWN])
        context["alarm_counts"] = alarm_counts()
    if StaffPermission.READ_WEBHOOKS in permissions:
        context["troubled"] = list(WebhookEvent.objects.in_trouble().order_by("-pk")[:SHOWN])
    if StaffPermission.READ_AUDIT in permissions:
        rows = list(AuditEvent.objects.exclude(action="impersonation.request")[: SHOWN + 4])
        emails = dict(User.objects.filter(pk__in={row.actor for row in rows}).values_list("pk", "email"))
        context["trail"] = [
            {"row": row, "actor": emails.get(row.actor, row.actor), "sentence": label_audit_event(row).title}
            for row in rows
        ]
    return context


def _people(now: datetime) -> dict[str, Any]:
    signups = queries.signups_by_day(now)
    days = [row["day"].strftime("%-d %b") for row in signups]
    return {
        "people": {**queries.customer_counts(now), **queries.active_customer_counts(now)},
        "signups_chart": _chart("Sign-ups", days, [row["count"] for row in signups]),
    }


def _money(now: datetime, currency: str) -> dict[str, Any]:
    """In ``currency`` if that has the form of a currency's code: amounts of several are never added up."""
    if not (len(currency) == CURRENCY_LENGTH and currency.isascii() and currency.isalpha()):
        currency = ""
    figures = revenue_metrics(now, currency)
    days = [now.date() - timedelta(days=back) for back in reversed(range(DAYS))]
    currency = figures["currency"]
    today = Money.from_units(figures["monthly_recurring_revenue"], currency)
    values = _monthly_revenue(days, today.minor, currency)
    return {
        "money": figures,
        "grown": Money(values[-1] - values[0], currency),
        "revenue_chart": _chart(
            "Monthly recurring revenue",
            [day.strftime("%-d %b") for day in days],
            [Money(minor, currency).units for minor in values],
            fill=True,
        ),
    }


def _monthly_revenue(days: list[date], today_cents: int, currency: str) -> list[int]:
    """Monthly recurring revenue at the end of each day, in cents: from today's back along the ledger."""
    since = datetime.combine(days[0], time(), UTC)
    moved = LedgerEntry.objects.linked().moving().filter(currency=currency, at__gte=since)
    by_day = moved.annotate(day=TruncDate("at")).order_by().values("day").annotate(cents=Sum(MOVED_CENTS))
    deltas: Counter[date] = Counter()
    for row in by_day:
        deltas[min(row["day"], days[-1])] += row["cents"]  # the provider's clock may be ahead of ours
    values, running = [], today_cents
    for day in reversed(days):
        values.append(running)
        running -= deltas[day]
    return values[::-1]


def _chart(label: str, labels: list[str], values: list[Any], *, fill: bool = False) -> str:
    """One series, as unfold passes it to Chart.js."""
    line = {
        "label": label,
        "data": values,
        "borderColor": "var(--color-primary-600)",
        "backgroundColor": "rgba(59, 102, 245, 0.18)" if fill else "var(--color-primary-600)",
        "fill": fill,
        "stepped": fill,
        "borderWidth": 2 if fill else 0,
        "pointRadius": 0,
        "pointHitRadius": 12,
        "maxBarThickness": 14,
        "borderRadius": 3,
    }
    return json.dumps({"labels": labels, "datasets": [line]})


def _health(now: datetime) -> dict[str, Any]:
    figures = inbox_statistics()
    alive = {beat.name: now - beat.at < MAX_HEARTBEAT_AGE for beat in Heartbeat.objects.all()}
    failed = figures.by_status["failed"] + figures.by_status["quarantined"]
    open_alerts = list(WebhookAlert.objects.order_by("since"))
    return {
        "webhooks": figures,
        "failed_webhooks": failed,
        "processes": [(name, alive.get(name, False)) for name in ("worker", "beat")],
        "open_alerts": open_alerts,
        "webhooks_are_well": (
            not figures.failure_rate and not failed and figures.oldest_due_seconds < MAX_DUE_SECONDS and not open_alerts
        ),
    }
