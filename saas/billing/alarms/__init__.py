"""What staff should look at, in one place: each with the reason, the event that says so, and the staff action that helps.

    open_alarms()                              every kind, the newest first in each
    open_alarms(AlarmKind.UNMAPPED_PRICE)      of one kind
    alarms_of_user(user), alarms_of_team(team), alarms_of_customer(customer)   for their pages
    count_alarms()                             {"unmapped_price": 2, …}, without kinds that have none

An alarm is no row: it is read from the rows, and is gone when what it says is no longer so.
"""

from collections.abc import Iterator

from django.db.models import QuerySet

from saas.accounts.models import User
from saas.billing.alarms.metrics import count_alarms
from saas.billing.alarms.sources import SOURCES, Alarm, AlarmKind
from saas.billing.models import Customer
from saas.billing.models.customers import TeamOwner

__all__ = [
    "Alarm",
    "AlarmKind",
    "alarms_of_customer",
    "alarms_of_team",
    "alarms_of_user",
    "count_alarms",
    "open_alarms",
]

LONGEST_LIST = 200  # of one kind


def open_alarms(kind: AlarmKind | None = None, *, limit: int = LONGEST_LIST) -> Iterator[Alarm]:
    """At most ``limit`` of each source."""
    for source in SOURCES:
        if kind in (None, source.kind):
            for row in source.rows().order_by("-pk")[:limit]:
                yield source.alarm(row)


def alarms_of_user(user: User) -> list[Alarm]:
    """Of the user, of the teams that they own, and of customers without an account who pay under their address."""
    same_address = Customer.objects.unlinked().filter(email__iexact=user.email)
    return _alarms_of(Customer.objects.of_user(user) | same_address)


def alarms_of_customer(customer: Customer) -> list[Alarm]:
    return _alarms_of(Customer.objects.filter(pk=customer.pk))


def alarms_of_team(team: TeamOwner) -> list[Alarm]:
    return _alarms_of(Customer.objects.for_owner(team))


def _alarms_of(rows: QuerySet[Customer]) -> list[Alarm]:
    customers = list(rows)
    if not customers:
        return []
    return [source.alarm(row) for source in SOURCES for row in source.rows_of(customers).order_by("-pk")[:LONGEST_LIST]]
