"""Invariants of teams."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, F, Max, Q

from saas.billing import clock, entitlements
from saas.billing.catalogue import limits_and_features
from saas.billing.models import EntitlementOverride, Subscription
from saas.operations.invariants import invariant
from saas.teams.models import Team


@invariant
def members_have_seats() -> Iterator[str]:
    """No member joined a team without a free seat.

    A team whose plan now allows fewer seats keeps its members and takes no more.
    """
    teams = Team.objects.live().annotate(members=Count("memberships"), joined=Max("memberships__created_at"))
    crowded = teams.filter(members__gt=limits_and_features.free_limits()["seats"] or 0).order_by("pk")
    for pk, members, joined in crowded.values_list("pk", "members", "joined"):
        team = Team.objects.get(pk=pk)
        allowed = entitlements.get_limit(team, "seats")
        if allowed is not None and members > allowed and joined > _last_change(team):
            yield pk


def _last_change(team: Team) -> datetime:
    """The last change by which the team may have lost seats: of its owner, a subscription or an override."""
    theirs = Q(customer__team=team) | Q(customer__user=team.owner_id)
    bought = Subscription.objects.filter(theirs).aggregate(at=Max("changed_at"))
    mine = Q(team=team) | Q(user=team.owner_id)
    past = Q(expires_at__lte=clock.now())
    given = EntitlementOverride.objects.filter(mine).aggregate(
        ended=Max("ended_at"), expired=Max("expires_at", filter=past)
    )
    known: list[datetime] = [at for at in (*bought.values(), *given.values()) if at is not None]
    return max([team.updated_at, *known])


@invariant
def teams_have_an_owner() -> Iterable[str]:
    """Every team's ``owner`` is a member with the role of an owner."""
    owners = Count("memberships", filter=Q(memberships__role="owner", memberships__user=F("owner")))
    return Team.objects.live().annotate(owners=owners).exclude(owners=1).order_by("pk").values_list("pk", flat=True)
