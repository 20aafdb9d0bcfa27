"""Projection of a customer's revenue: whether a change of one subscription is new revenue, expansion, churn, …

Pure, like ``sync.projections.subscriptions``. It needs all subscriptions of the customer: one that is reactivated has a
new subscription. What happens within an hour is one movement (`saas/docs/billing.md`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from saas.billing.sync.projections.subscriptions import SubscriptionChange

NETTING_WINDOW = timedelta(hours=1)  # from the first change on; ChartMogul's default, too
_FIRST = {"new", "reactivated"}


@dataclass(frozen=True)
class LedgerLine:
    """A change of the subscription ``subscription`` (any name that orders them), the ``number``-th in its history."""

    subscription: str
    number: int
    change: SubscriptionChange


@dataclass(frozen=True)
class RevenueEntry:
    """A line in its customer's history. Of changes within an hour the last one is booked: its ``moved_cents`` is the net of
    them all, and ``movement`` what that means. Elsewhere they are 0 and empty."""

    line: LedgerLine
    number: int  # its place in the customer's history in this currency
    kind: str
    movement: str
    moved_cents: int
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
    booked_cents: int = 0
    month: date | None = None
    month_began_with: int = 0
    cohort: date | None = None
    entries: list[RevenueEntry] = field(default_factory=list)


def project_revenue(lines: Iterable[LedgerLine]) -> list[RevenueEntry]:
    """The lines of one customer ordered by time, whatever their order here, with what each did to the revenue.

    A subscription that replaces another within an hour is no churn.
    """
    by_currency: dict[str, list[LedgerLine]] = defaultdict(list)

    def time_order(line: LedgerLine) -> tuple[object, ...]:
        return line.change.at, line.change.delta_cents < 0, line.subscription, line.number

    for line in sorted(lines, key=time_order):
        by_currency[line.change.currency].append(line)
    return [entry for own in by_currency.values() for entry in _book_all(own)]


def _book_all(lines: Sequence[LedgerLine]) -> list[RevenueEntry]:
    """The entries of one currency's lines, which are ordered."""
    account = _CustomerRevenue()
    for together in _within_an_hour(lines):
        _book(together, account)
    return [replace(row, cohort=account.cohort) for row in account.entries]


def _within_an_hour(lines: Sequence[LedgerLine]) -> Iterator[list[LedgerLine]]:
    """Groups that each end an hour after the first change of revenue in them."""
    group: list[LedgerLine] = []
    first: LedgerLine | None = None
    for line in lines:
        if first and line.change.at - first.change.at > NETTING_WINDOW:
            yield group
            group, first = [], None
        group.append(line)
        first = first or (line if line.change.delta_cents else None)
    yield group


def _book(lines: Sequence[LedgerLine], account: _CustomerRevenue) -> None:
    opening, is_known = account.cents, account.cohort is not None
    net = sum(line.change.delta_cents for line in lines)
    movement = _movement(opening, net, is_known=is_known)
    last = max((number for number, line in enumerate(lines) if line.change.delta_cents), default=-1)
    for number, line in enumerate(lines):
        is_booked = number == last and net != 0
        entry = _revenue_entry(line, account, movement if is_booked else "", net if is_booked else 0)
        if line.change.kind == "new" and is_known and account.cents == line.change.delta_cents != 0:
            entry = replace(entry, kind="reactivated")
        if entry.movement == "new":
            account.cohort = entry.month
        account.entries.append(entry)


def _revenue_entry(line: LedgerLine, account: _CustomerRevenue, movement: str, moved_cents: int) -> RevenueEntry:
    if account.month != _month(line):
        account.month, account.month_began_with = _month(line), account.booked_cents
    account.cents += line.change.delta_cents
    account.booked_cents += moved_cents
    return RevenueEntry(
        line=line,
        number=len(account.entries),
        kind=line.change.kind,
        movement=movement,
        moved_cents=moved_cents,
        customer_cents=account.cents,
        paid_before=account.month_began_with > 0,
        cohort=None,
    )


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
