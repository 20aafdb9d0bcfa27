"""Searching users, and counting over whole tables."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.db.models.functions import TruncDate

from saas.accounts.models import Audience, Impersonation, LoginSession, LoginSessionQuerySet, User, UserQuerySet
from saas.accounts.staff import impersonations
from saas.billing.models import Checkout, Customer, Invoice, Subscription
from saas.billing.models.customers import CLOSED_STATUSES

WINDOWS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
CHART_DAYS = 30


def search_users(*, search: str = "", status: str = "", plan: str = "") -> UserQuerySet:
    """``search`` is part of an address or name, or an exact id, ours or the payment provider's. ``plan`` is the id of a
    plan that they or their teams are subscribed to, or ``none`` for those without any subscription."""
    owners = _owners_known_as(search)
    rows: UserQuerySet = User.objects.listed(search="" if owners else search, status=status)
    if owners:
        rows = rows.filter(pk__in=owners)
    if plan == "none":
        buyers, team_owners = _subscribers(Subscription.objects.live())
        return rows.exclude(pk__in=buyers).exclude(pk__in=team_owners)
    if plan:
        buyers, team_owners = _subscribers(Subscription.objects.live().filter(plan=plan))
        return rows.filter(pk__in=buyers.union(team_owners))
    return rows


def _subscribers(subscriptions: QuerySet[Subscription]) -> tuple[QuerySet[Any], QuerySet[Any]]:
    """The users who bought them for themselves, and the owners of the teams that they were bought for. Two sets, each joined
    from the subscriptions: as one condition on users, every user would be compared with every subscription."""
    buyers = subscriptions.filter(customer__user__isnull=False).values("customer__user")
    team_owners = subscriptions.filter(customer__team__isnull=False).values("customer__team__owner")
    return buyers, team_owners


def _owners_known_as(search: str) -> list[str]:
    """The users to whom the customer, subscription, invoice or checkout with exactly this id belongs."""
    if "_" not in search or not settings.BILLING:
        return []
    by_id = Q(pk=search) | Q(external_id=search)
    ids = [
        model.objects.filter(by_id).values_list("customer", flat=True) for model in (Subscription, Invoice, Checkout)
    ]
    known = {*Customer.objects.filter(by_id).values_list("pk", flat=True), *chain(*ids)}
    pairs = Customer.objects.filter(pk__in=known).values_list("user", "team__owner")
    return [owner for pair in pairs for owner in pair if owner]


def customer_counts(now: datetime) -> dict[str, int]:
    """Customers by status, and recent sign-ups. Deleted accounts are in no total.

    Four small queries, each of an index alone: one over all columns of a million people takes a second.
    """
    status = User.Status
    counted = User.objects.order_by().values("status").annotate(count=Count("status")).values_list("status", "count")
    staff = dict(counted.filter(is_staff=True))  # few: quicker to subtract than to exclude
    by_status = {name: count - staff.get(name, 0) for name, count in counted}
    total = sum(count for name, count in by_status.items() if name != status.DELETED)
    unverified = User.objects.customers().filter(email_verified_at=None).exclude(status=status.DELETED)
    return {
        "total_users": total,
        "active_users": by_status.get(status.ACTIVE, 0),
        "disabled_users": by_status.get(status.DISABLED, 0),
        "deleted_users": by_status.get(status.DELETED, 0),
        "verified_users": total - unverified.count(),
        **_signup_counts(now),
    }


def _signup_counts(now: datetime) -> dict[str, int]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    recent = User.objects.customers().filter(created_at__gte=now - WINDOWS["30d"])
    counts: dict[str, int] = recent.aggregate(
        signups_today=Count("created_at", filter=Q(created_at__gte=today)),
        signups_7d=Count("created_at", filter=Q(created_at__gte=now - WINDOWS["7d"])),
        signups_30d=Count("created_at"),
    )
    return counts


def active_customer_counts(now: datetime) -> dict[str, int]:
    """How many customers used a session in the last day, week and month, without those who are banned or deleted by now.

    Sessions of support in a customer's name do not count. Two queries: the first reads an index alone; only the second, for
    the few customers that support visited, has to read how a session began.
    """
    since = now - WINDOWS["30d"]
    gone = User.objects.filter(status__in=CLOSED_STATUSES, pk=OuterRef("user"))
    recent = LoginSession.objects.filter(~Exists(gone), last_seen_at__gte=since, audience=Audience.CUSTOMER)
    begun = Impersonation.objects.filter(started_at__gte=since - timedelta(minutes=impersonations.MAX_MINUTES))
    is_visited = Exists(begun.filter(session__user=OuterRef("user")))
    others = _count_people_seen(recent.filter(~is_visited), now)
    own = recent.filter(is_visited).exclude(methods=impersonations.METHOD)
    return {name: count + others[name] for name, count in _count_people_seen(own, now).items()}


def _count_people_seen(sessions: LoginSessionQuerySet, now: datetime) -> dict[str, int]:
    people = sessions.order_by().values("user").annotate(seen_at=Max("last_seen_at"))
    windows = {f"active_{name}": Count("user", filter=Q(seen_at__gte=now - window)) for name, window in WINDOWS.items()}
    return people.aggregate(**windows)


def signups_by_day(now: datetime) -> list[dict[str, Any]]:
    """``[{"day": date, "count": int}]`` of the last 30 days in UTC, oldest first, days without any included."""
    first = now.date() - timedelta(days=CHART_DAYS - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)
    by_day = User.objects.customers().filter(created_at__gte=since).order_by().annotate(day=TruncDate("created_at"))
    counted = dict(by_day.values("day").annotate(count=Count("created_at")).values_list("day", "count"))
    days = (first + timedelta(days=offset) for offset in range(CHART_DAYS))
    return [{"day": day, "count": counted.get(day, 0)} for day in days]
