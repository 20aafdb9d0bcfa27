"""Recurring revenue: what comes in a month today, and what changed it, from the ledger. All amounts are a month's.

Only of subscriptions whose customer belongs to a user or team. Amounts of different currencies are never added up or
compared: the metrics are those of one currency, the requested one or the one with the most subscriptions, and
``by_currency`` has all of them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, F, QuerySet, Sum, Window
from django.db.models.functions import FirstValue

from saas.billing.models import LedgerEntry, Subscription
from saas.billing.models.ledger import MOVED_CENTS, LedgerEntryQuerySet
from saas.billing.models.subscriptions import CANCELING
from saas.money import Money

WINDOW = timedelta(days=30)
DEFAULT_CURRENCY = "usd"
MONTHS = 12
_RUNNING = [Subscription.Status.ACTIVE, Subscription.Status.TRIALING, Subscription.Status.PAST_DUE]
_KEYS = ("status", "currency", "is_ending", "keeps_revenue")
MOVEMENTS = ("new", "expansion", "reactivation", "contraction", "churn")
_CAME, _WENT = {"new", "reactivation"}, {"churn"}


@dataclass
class RevenueSum:
    """A number of subscriptions or movements, and their sum."""

    count: int = 0
    cents: int = 0


Running = dict[tuple[Any, ...], RevenueSum]  # by ``_KEYS``


def revenue_metrics(now: datetime, currency: str = "") -> dict[str, Any]:
    """The fields of ``RevenueShape``, in whole units of ``currency``. Six queries, each of an index alone."""
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
        "by_currency": [
            {
                "currency": name,
                "monthly_recurring_revenue": Money(earnings[name].cents, name).units,
                "subscriptions": earnings[name].count,
            }
            for name in order
        ],
        **_window(entries.filter(at__gte=now - WINDOW), Money(earning.cents, currency), customers),
        **_tables(entries, Money(earning.cents, currency), customers, now),
    }


def _running() -> Running:
    """By status, currency, whether they will end, and whether they count on trial: all, less the few without an owner."""
    rows = Subscription.objects.filter(status__in=_RUNNING).order_by()
    found = _grouped(rows)
    for key, unlinked in _grouped(rows.filter(customer__user=None, customer__team=None)).items():
        found[key].count -= unlinked.count
        found[key].cents -= unlinked.cents
    return found


def _grouped(rows: QuerySet[Subscription]) -> Running:
    is_ending = ExpressionWrapper(CANCELING, BooleanField())
    sums = rows.annotate(is_ending=is_ending).values(*_KEYS).annotate(count=Count("status"), cents=Sum("monthly_cents"))
    return {tuple(row[key] for key in _KEYS): RevenueSum(row["count"], row["cents"]) for row in sums}


def _counts(running: Running) -> dict[str, int]:
    counts = {f"{status}_subscriptions": 0 for status in (*_RUNNING, "canceling")}
    for (status, _, is_ending, _), found in running.items():
        counts[f"{status}_subscriptions"] += found.count
        if is_ending and status == Subscription.Status.ACTIVE:
            counts["canceling_subscriptions"] += found.count
    return counts


def _earnings(running: Running) -> dict[str, RevenueSum]:
    """By currency."""
    earnings: dict[str, RevenueSum] = defaultdict(RevenueSum)
    for (status, currency, _, keeps_revenue), found in running.items():
        if (status in Subscription.EARNING or keeps_revenue) and found.count:
            earnings[currency].count += found.count
            earnings[currency].cents += found.cents
    return earnings


def _paying_customers(entries: LedgerEntryQuerySet) -> int:
    """New and reactivated, less churned."""
    rows = entries.moving().values("movement").annotate(count=Count("movement"))
    counts = dict(rows.values_list("movement", "count"))
    return counts.get("new", 0) + counts.get("reactivation", 0) - counts.get("churn", 0)


def _window(entries: LedgerEntryQuerySet, today: Money, customers: int) -> dict[str, Any]:
    """Movements of the last thirty days, and the churn and retention that follow from them."""
    rows = entries.values("kind", "movement").annotate(
        count=Count("kind"), cents=Sum("delta_cents"), moved=Sum(MOVED_CENTS)
    )
    kinds: dict[str, RevenueSum] = defaultdict(RevenueSum)
    movements: dict[str, RevenueSum] = defaultdict(RevenueSum)
    for kind, movement, count, changed, moved in rows.values_list("kind", "movement", "count", "cents", "moved"):
        for sums, cents in ((kinds[kind], changed), (movements[movement], moved)):
            sums.count += count
            sums.cents += cents
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
    """Return the net change of revenue, within the window, of customers who were paying when it began."""
    before = FirstValue(F("customer_cents") - MOVED_CENTS)
    opening = Window(before, partition_by="customer", order_by="customer_number")
    moved = entries.moving().annotate(opening=opening).filter(opening__gt=0)
    return int(moved.aggregate(cents=Sum(MOVED_CENTS))["cents"] or 0)


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole``, to four places; ``None`` of nothing."""
    return round(part / whole, 4) if whole > 0 else None


@dataclass(frozen=True)
class Cell:
    """Movements of one kind in one month, of customers who first paid in ``cohort``; ``paid_before`` if they paid anything
    when the month began."""

    cohort: date
    month: date
    movement: str
    paid_before: bool
    count: int
    cents: int


def _tables(entries: LedgerEntryQuerySet, monthly: Money, customers: int, now: datetime) -> dict[str, Any]:
    """``months`` and ``cohorts``, oldest first, of the entries of one currency. ``monthly`` and ``customers`` are today's.
    One query."""
    months = last_months(now.date())
    names = ("cohort", "month", "movement", "paid_before")
    rows = entries.moving().filter(month__gte=months[0]).values(*names)
    sums = rows.annotate(count=Count("movement"), cents=Sum(MOVED_CENTS))
    cells = [Cell(*row) for row in sums.values_list(*names, "count", "cents")]
    return {
        "months": _by_month(cells, months, monthly, customers),
        "cohorts": [_cohort(cells, months[place:], monthly.currency) for place in range(len(months))],
    }


def last_months(today: date) -> list[date]:
    """The first days of the last twelve months, this one included, oldest first."""
    first = today.year * 12 + today.month - MONTHS
    return [date(number // 12, number % 12 + 1, 1) for number in range(first, first + MONTHS)]


def _by_month(cells: list[Cell], months: list[date], today: Money, customers: int) -> list[dict[str, Any]]:
    """Backwards from today: a month's opening is its closing less its movements."""
    by_month: dict[date, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_month[min(cell.month, months[-1])].append(cell)  # the provider's clock may be ahead of ours
    rows, closing = [], today
    for month in reversed(months):
        moved = by_month[month]
        opening, opening_customers = Money(closing.minor - _cents(moved), today.currency), customers - _balance(moved)
        rows.append(_month(month, moved, opening, opening_customers))
        closing, customers = opening, opening_customers
    return rows[::-1]


def _month(month: date, cells: list[Cell], opening: Money, opening_customers: int) -> dict[str, Any]:
    by_movement = {name: [cell for cell in cells if cell.movement == name] for name in MOVEMENTS}
    kept = [cell for cell in cells if cell.paid_before]

    def units(minor: int) -> int | float:
        return Money(minor, opening.currency).units

    return {
        "month": month,
        "opening": opening.units,
        **{name: units(abs(_cents(found))) for name, found in by_movement.items()},
        "closing": units(opening.minor + _cents(cells)),
        "opening_customers": opening_customers,
        **{f"{name}_customers": _count(by_movement[name]) for name in ("new", "reactivation", "churn")},
        "closing_customers": opening_customers + _balance(cells),
        "revenue_churn": share(-_cents(by_movement["churn"]), opening.minor),
        "customer_churn": share(_count(by_movement["churn"]), opening_customers),
        "net_revenue_retention": share(opening.minor + _cents(kept), opening.minor),
    }


def _cohort(cells: list[Cell], months: list[date], currency: str) -> dict[str, Any]:
    """Customers who first paid in the first of ``months``: how many still paid at the end of each, and how much."""
    own = [cell for cell in cells if cell.cohort == months[0]]
    until = [[cell for cell in own if cell.month <= month] for month in months]
    return {
        "cohort": months[0],
        "customers": _count(cell for cell in own if cell.movement == "new"),
        "retained": [_balance(found) for found in until],
        "revenue": [Money(_cents(found), currency).units for found in until],
    }


def _cents(cells: Iterable[Cell]) -> int:
    return sum(cell.cents for cell in cells)


def _count(cells: Iterable[Cell]) -> int:
    return sum(cell.count for cell in cells)


def _balance(cells: Iterable[Cell]) -> int:
    """New and reactivated customers, less churned ones."""
    return sum(
        cell.count if cell.movement in _CAME else -cell.count for cell in cells if cell.movement in _CAME | _WENT
    )
