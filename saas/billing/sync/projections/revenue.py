"""Projection of a customer's revenue: whether a change of one subscription is new revenue, expansion, churn, …

Pure, like ``sync.projections.subscriptions``. It needs all subscriptions of the customer: one that is reactivated has a
new subscription.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from saas.billing.sync.projections.subscriptions import SubscriptionChange

_FIRST = {"new", "reactivated"}


@dataclass(frozen=True)
class LedgerLine:
    """A change of the subscription ``subscription`` (any name that orders them), the ``number``-th in its history."""

    subscription: str
    number: int
    change: SubscriptionChange


@dataclass(frozen=True)
class RevenueEntry:
    """A line in its customer's history. ``movement`` is empty where the revenue did not change."""

    line: LedgerLine
    number: int  # its place in the customer's history in this currency
    kind: str
    movement: str
    customer_cents: int
    paid_before: bool  # the customer paid something when the month began
    cohort: date | None

    @property
    def month(self) -> date:
        return _month(self.line)


def _month(line: LedgerLine) -> date:
    return line.change.at.date().replace(day=1)


@dataclass
class _CustomerRevenue:
    """The state of a customer's revenue in one currency while lines are added."""

    cents: int = 0
    month: date | None = None
    month_began_with: int = 0
    cohort: date | None = None
    entries: list[RevenueEntry] = field(default_factory=list)


def project_revenue(lines: Iterable[LedgerLine]) -> list[RevenueEntry]:
    """The lines of one customer ordered by time, whatever their order here, with what each did to the revenue.

    Within a second additions come first: a subscription that replaces another is no churn.
    """
    accounts: dict[str, _CustomerRevenue] = defaultdict(_CustomerRevenue)

    def time_order(line: LedgerLine) -> tuple[object, ...]:
        return line.change.at, line.change.delta_cents < 0, line.subscription, line.number

    for line in sorted(lines, key=time_order):
        account = accounts[line.change.currency]
        account.entries.append(_revenue_entry(line, account))
    return [replace(row, cohort=account.cohort) for account in accounts.values() for row in account.entries]


def _revenue_entry(line: LedgerLine, account: _CustomerRevenue) -> RevenueEntry:
    if account.month != _month(line):
        account.month, account.month_began_with = _month(line), account.cents
    before, delta = account.cents, line.change.delta_cents
    account.cents += delta
    movement = _movement(before, delta, is_known=account.cohort is not None)
    kind = "reactivated" if line.change.kind == "new" and movement == "reactivation" else line.change.kind
    entry = RevenueEntry(line, len(account.entries), kind, movement, account.cents, account.month_began_with > 0, None)
    if movement == "new":
        account.cohort = entry.month
    return entry


def _movement(before: int, delta: int, *, is_known: bool) -> str:
    if delta == 0:
        return ""
    if before == 0:
        return "reactivation" if is_known else "new"
    if before + delta == 0:
        return "churn"
    return "expansion" if delta > 0 else "contraction"


def restore_subscription_kinds(lines: Iterable[LedgerLine]) -> list[LedgerLine]:
    """Lines with the kinds that the subscription alone has: the first that adds revenue is ``new``.

    The inverse of what ``project_revenue`` does to kinds, for lines that are read back from the ledger.
    """
    seen: set[str] = set()
    restored = []
    for line in sorted(lines, key=lambda line: (line.subscription, line.number)):
        is_first = line.change.kind in _FIRST and line.subscription not in seen
        seen |= {line.subscription} if is_first else set()
        restored.append(replace(line, change=replace(line.change, kind="new")) if is_first else line)
    return restored
