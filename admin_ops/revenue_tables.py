"""Revenue by month and by cohort, of the last twelve months: every figure a sum over the same cells of the ledger."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Sum

from admin_ops.percentages import share
from saas.billing.models.ledger import LedgerEntryQuerySet
from saas.money import Money

MONTHS = 12
MOVEMENTS = ("new", "expansion", "reactivation", "contraction", "churn")
_CAME, _WENT = {"new", "reactivation"}, {"churn"}


@dataclass(frozen=True)
class Cell:
    """Movements of one kind in one month, of customers who first paid in ``cohort``. ``paid_before``: of those only who
    paid something when the month began."""

    cohort: date
    month: date
    movement: str
    paid_before: bool
    count: int
    cents: int


def tables(entries: LedgerEntryQuerySet, monthly: Money, customers: int, now: datetime) -> dict[str, Any]:
    """``months`` and ``cohorts``, oldest first, of the entries of one currency. ``monthly`` and ``customers`` are today's.
    One query."""
    months = last_months(now.date())
    cells = _cells(entries.moving().filter(month__gte=months[0]))
    return {
        "months": _by_month(cells, months, monthly, customers),
        "cohorts": [_cohort(cells, months[place:], monthly.currency) for place in range(len(months))],
    }


def last_months(today: date) -> list[date]:
    """The first days of the last twelve months, this one included, oldest first."""
    first = today.year * 12 + today.month - MONTHS
    return [date(number // 12, number % 12 + 1, 1) for number in range(first, first + MONTHS)]


def _cells(entries: LedgerEntryQuerySet) -> list[Cell]:
    names = ("cohort", "month", "movement", "paid_before")
    rows = entries.values(*names).annotate(count=Count("movement"), cents=Sum("delta_cents"))
    return [Cell(*row) for row in rows.values_list(*names, "count", "cents")]


def _by_month(cells: list[Cell], months: list[date], today: Money, customers: int) -> list[dict[str, Any]]:
    """Backwards from today: what a month opened with is what it closed with, less what moved."""
    by_month: dict[date, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_month[min(cell.month, months[-1])].append(cell)  # the provider's clock may be ahead of ours
    told, closing = [], today
    for month in reversed(months):
        moved = by_month[month]
        opening, opening_customers = Money(closing.minor - _cents(moved), today.currency), customers - _balance(moved)
        told.append(_month(month, moved, opening, opening_customers))
        closing, customers = opening, opening_customers
    return told[::-1]


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
    """Those who first paid in the first of ``months``: how many still did at each month's end, and how much."""
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
    """Customers who came, less those who went."""
    return sum(
        cell.count if cell.movement in _CAME else -cell.count for cell in cells if cell.movement in _CAME | _WENT
    )
