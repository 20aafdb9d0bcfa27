"""Writing the ledger of a customer: the changes of all their subscriptions, and what each did to the revenue from them."""

from collections.abc import Sequence

from saas.billing.models import Customer, LedgerEntry, Subscription
from saas.billing.sync.projections.revenue import LedgerLine, RevenueEntry, project_revenue, restore_subscription_kinds
from saas.billing.sync.projections.subscriptions import SubscriptionChange

_FACTS = [
    "number", "customer_id", "is_linked", "kind", "movement", "at", "month", "cohort", "currency",
    "delta_cents", "moved_cents", "monthly_cents", "customer_cents", "customer_number", "paid_before", "event_id",
]  # fmt: skip


def write_ledger(row: Subscription, changes: Sequence[SubscriptionChange]) -> None:
    """Write ``changes`` to the subscription's ledger, inside the caller's transaction. May be repeated."""
    own = [LedgerLine(row.external_id, number, change) for number, change in enumerate(changes)]
    for former_customer_id in _rewrite(row.customer_id, row, own):
        rebuild_customer_ledger(former_customer_id)


def rebuild_customer_ledger(customer_id: str) -> None:
    """Rewrite a customer's ledger after a subscription was moved to or from them."""
    _rewrite(customer_id, None, [])


def _rewrite(customer_id: str, row: Subscription | None, own: list[LedgerLine]) -> set[str]:
    """Rewrite the ledger of a customer. The changes of their other subscriptions are read back from it; what those did to
    the revenue may change. Locks the customer. Returns the other customers to whom entries belonged before."""
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
    rows = LedgerEntry.objects.filter(subscription__customer=customer_id).select_related("subscription")
    stored = list(rows.order_by("subscription", "number"))
    others = [entry for entry in stored if row is None or entry.subscription_id != row.pk]
    lines = own + restore_subscription_kinds(map(_line, others))
    subscriptions = {entry.subscription.external_id: entry.subscription for entry in stored}
    if row:
        subscriptions[row.external_id] = row
    booked = project_revenue(lines)
    for external_id, subscription in subscriptions.items():
        entries = sorted(
            (line for line in booked if line.line.subscription == external_id), key=lambda it: it.line.number
        )
        wanted = [_entry(line, subscription, customer) for line in entries]
        _replace([entry for entry in stored if entry.subscription_id == subscription.pk], wanted, subscription)
    return {entry.customer_id for entry in stored} - {customer_id}


def _replace(stored: list[LedgerEntry], wanted: list[LedgerEntry], subscription: Subscription) -> None:
    """Rewrite from the first entry that differs: most events change nothing, and most others append."""
    same = 0
    while same < min(len(stored), len(wanted)) and ledger_fields(stored[same]) == ledger_fields(wanted[same]):
        same += 1
    if same < len(stored):
        subscription.ledger.filter(number__gte=same).delete()
    LedgerEntry.objects.bulk_create(wanted[same:])


def ledger_fields(entry: LedgerEntry) -> dict[str, object]:
    """The fields of an entry that the events decide."""
    return {name: getattr(entry, name) for name in _FACTS}


def _line(entry: LedgerEntry) -> LedgerLine:
    change = SubscriptionChange(
        entry.kind, entry.at, entry.currency, entry.delta_cents, entry.monthly_cents, entry.event_id
    )
    return LedgerLine(entry.subscription.external_id, entry.number, change)


def _entry(booked: RevenueEntry, subscription: Subscription, customer: Customer) -> LedgerEntry:
    change = booked.line.change
    return LedgerEntry(
        subscription=subscription,
        number=booked.line.number,
        customer=customer,
        is_linked=customer.is_linked,
        kind=booked.kind,
        movement=booked.movement,
        at=change.at,
        month=booked.month,
        cohort=booked.cohort,
        currency=change.currency,
        delta_cents=change.delta_cents,
        moved_cents=booked.moved_cents,
        monthly_cents=change.monthly_cents,
        customer_cents=booked.customer_cents,
        customer_number=booked.number,
        paid_before=booked.paid_before,
        event_id=change.event_id,
    )
