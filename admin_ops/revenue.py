"""Recurring revenue: what comes in a month today, and what moved it, from the ledger.

Of customers who are ours; a subscription that only the provider knows is in no figure. Amounts of several currencies are
never added up, nor compared: the figures are those of one, asked for or the one in which most subscriptions are paid, and
``by_currency`` tells all of them. The tables by month and by cohort are in ``admin_ops.revenue_tables``. All amounts are a
month's.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, F, QuerySet, Sum, Window
from django.db.models.functions import FirstValue

from admin_ops import revenue_tables
from admin_ops.percentages import share
from saas.billing.models import LedgerEntry, Subscription
from saas.billing.models.ledger import LedgerEntryQuerySet
from saas.billing.models.subscriptions import CANCELING
from saas.money import Money

WINDOW = timedelta(days=30)
DEFAULT_CURRENCY = "usd"
MONTHS = 12
_RUNNING = [Subscription.Status.ACTIVE, Subscription.Status.TRIALING, Subscription.Status.PAST_DUE]
_KEYS = ("status", "currency", "is_ending")


@dataclass
class RevenueSum:
    """Some of the subscriptions that run."""

    count: int = 0
    cents: int = 0


def revenue_metrics(now: datetime, currency: str = "") -> dict[str, Any]:
    """The figures, in whole units of ``currency``. Six queries, each of an index alone."""
    running = _running()
    earnings = _earnings(running)
    order = sorted(earnings, key=lambda name: (-earnings[name].count, name))
    currency = currency.lower() or next(iter(order), DEFAULT_CURRENCY)
    earning = earnings.get(currency, RevenueSum())
    entries = LedgerEntry.objects.linked().filter(currency=currency).order_by()
    customers = _paying_customers(entries)
    return {
        **_counts(running),
        "currency": currency,
        "monthly_recurring_revenue": Money(earning.cents, currency).units,
        "arr": Money(earning.cents * MONTHS, currency).units,
        "arpu": Money(round(earning.cents / customers), currency).units if customers else 0,
        "paying_customers": customers,
        "by_currency": [_shown(name, earnings[name]) for name in order],
        **_window(entries.filter(at__gte=now - WINDOW), Money(earning.cents, currency), customers),
        **revenue_tables.tables(entries, Money(earning.cents, currency), customers, now),
    }


def _running() -> dict[tuple[str, str, bool], RevenueSum]:
    """By status, currency and whether they will end: all less the strangers', who are few."""
    rows = Subscription.objects.filter(status__in=_RUNNING).order_by()
    found = _grouped(rows)
    for key, strangers in _grouped(rows.filter(customer__user=None, customer__team=None)).items():
        found[key].count -= strangers.count
        found[key].cents -= strangers.cents
    return found


def _grouped(rows: QuerySet[Subscription]) -> dict[tuple[str, str, bool], RevenueSum]:
    is_ending = ExpressionWrapper(CANCELING, BooleanField())
    sums = rows.annotate(is_ending=is_ending).values(*_KEYS).annotate(count=Count("status"), cents=Sum("monthly_cents"))
    return {(row["status"], row["currency"], row["is_ending"]): RevenueSum(row["count"], row["cents"]) for row in sums}


def _counts(running: dict[tuple[str, str, bool], RevenueSum]) -> dict[str, int]:
    counts = {f"{status}_subscriptions": 0 for status in (*_RUNNING, "canceling")}
    for (status, _, is_ending), found in running.items():
        counts[f"{status}_subscriptions"] += found.count
        if is_ending and status == Subscription.Status.ACTIVE:
            counts["canceling_subscriptions"] += found.count
    return counts


def _earnings(running: dict[tuple[str, str, bool], RevenueSum]) -> dict[str, RevenueSum]:
    """By currency."""
    earnings: dict[str, RevenueSum] = defaultdict(RevenueSum)
    for (status, currency, _), found in running.items():
        if status in Subscription.EARNING and found.count:
            earnings[currency].count += found.count
            earnings[currency].cents += found.cents
    return earnings


def _shown(currency: str, earning: RevenueSum) -> dict[str, Any]:
    return {
        "currency": currency,
        "monthly_recurring_revenue": Money(earning.cents, currency).units,
        "subscriptions": earning.count,
    }


def _paying_customers(entries: LedgerEntryQuerySet) -> int:
    """Those who came, less those who went."""
    rows = entries.moving().values("movement").annotate(count=Count("movement"))
    counts = dict(rows.values_list("movement", "count"))
    return counts.get("new", 0) + counts.get("reactivation", 0) - counts.get("churn", 0)


def _window(entries: LedgerEntryQuerySet, today: Money, customers: int) -> dict[str, Any]:
    """What the ledger tells of the last thirty days, and which share of the revenue and customers before is gone."""
    rows = entries.values("kind", "movement").annotate(count=Count("kind"), cents=Sum("delta_cents"))
    kinds: dict[str, RevenueSum] = defaultdict(RevenueSum)
    movements: dict[str, RevenueSum] = defaultdict(RevenueSum)
    for kind, movement, count, moved in rows.values_list("kind", "movement", "count", "cents"):
        for sums in (kinds[kind], movements[movement]):
            sums.count += count
            sums.cents += moved
    opening = today.minor - sum(moved.cents for moved in movements.values())
    came, lost = movements["new"].count + movements["reactivation"].count, movements["churn"]
    return {
        "churn_30d": share(-lost.cents, opening),
        "customer_churn_30d": share(lost.count, customers - came + lost.count),
        "net_revenue_retention_30d": share(opening + _kept(entries), opening),
        "movements_30d": [
            {"kind": kind, "count": kinds[kind].count, "amount": Money(kinds[kind].cents, today.currency).units}
            for kind in sorted(kinds)
        ],
    }


def _kept(entries: LedgerEntryQuerySet) -> int:
    """By how much the revenue from those who paid when the window began has changed since."""
    before = FirstValue(F("customer_cents") - F("delta_cents"))
    opening = Window(before, partition_by="customer", order_by="customer_number")
    moved = entries.moving().annotate(opening=opening).filter(opening__gt=0)
    return int(moved.aggregate(cents=Sum("delta_cents"))["cents"] or 0)
