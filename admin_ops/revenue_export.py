"""Revenue by customer and month as CSV: what each brought at the month's end, and what they paid in it, less what went back.

One row for each customer, month and currency in which either is not nothing. Customers are named by their ids.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice

from django.db.models import F, Sum
from django.db.models.functions import TruncMonth

from admin_ops.streamed_files import csv_lines
from saas.billing.models import Customer, Invoice, LedgerEntry
from saas.billing.models.ledger import MOVED_CENTS
from saas.money import Money

COLUMNS = ["month", "customer", "owner", "provider_customer", "currency", "monthly_recurring_revenue", "paid"]
BATCH = 500  # customers


@dataclass
class _Account:
    """A customer's minor units by month, in one currency."""

    moved: dict[date, int] = field(default_factory=dict)
    paid: dict[date, int] = field(default_factory=dict)


def export_lines(now: datetime, currency: str = "") -> Iterator[str]:
    """Until this month, of every currency or the one that is named."""
    return csv_lines(COLUMNS, _rows(now.date().replace(day=1), currency))


def _rows(until: date, currency: str) -> Iterator[Sequence[str]]:
    customers = Customer.objects.exclude(user=None, team=None).order_by("pk").iterator(chunk_size=BATCH)
    while batch := list(islice(customers, BATCH)):
        accounts = _accounts(batch, {"currency": currency} if currency else {})
        for customer in batch:
            for code, account in sorted(accounts[customer.pk].items()):
                yield from _account_rows(customer, code, account, until)


def _accounts(customers: Sequence[Customer], wanted: dict[str, str]) -> dict[str, dict[str, _Account]]:
    found: dict[str, dict[str, _Account]] = defaultdict(lambda: defaultdict(_Account))
    entries = LedgerEntry.objects.moving().filter(customer__in=customers, **wanted).order_by()
    keys = ("customer", "currency", "month")
    for id, code, month, cents in entries.values(*keys).annotate(cents=Sum(MOVED_CENTS)).values_list(*keys, "cents"):
        found[id][code].moved[month] = cents
    invoices = Invoice.objects.filter(customer__in=customers, status=Invoice.Status.PAID, **wanted).order_by()
    paid = invoices.exclude(paid_at=None).annotate(month=TruncMonth("paid_at")).values(*keys)
    net = Sum(F("amount_paid_cents") - F("returned_cents"))
    for id, code, month, cents in paid.annotate(cents=net).values_list(*keys, "cents"):
        found[id][code].paid[month.date()] = cents
    return found


def _account_rows(customer: Customer, currency: str, account: _Account, until: date) -> Iterator[Sequence[str]]:
    brings, month = 0, min([*account.moved, *account.paid])
    while month <= until:
        brings += account.moved.get(month, 0)
        amounts = [Money(minor, currency).decimal for minor in (brings, account.paid.get(month, 0))]
        if any(amounts):
            owner = customer.user_id or customer.team_id or ""
            yield [month.isoformat()[:7], customer.pk, owner, customer.external_id, currency, *map(_number, amounts)]
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _number(amount: Decimal) -> str:
    return f"{amount:f}"
