"""What must always be true of teams."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, F, Max, Q

from saas.billing import clock, entitlements
from saas.billing.models import EntitlementOverride, Subscription
from saas.operations.invariants import invariant
from saas.teams.models import Team


@invariant
def members_have_seats() -> Iterator[str]:
    """Nobody joined a team that had no seat left.

    A team that was within its plan and then lost it keeps its members, and only takes no more of them.
    """
    teams = Team.objects.live().annotate(members=Count("memberships"), joined=Max("memberships__created_at"))
    crowded = teams.filter(members__gt=entitlements.FREE_LIMITS["seats"] or 0).order_by("pk")
    for pk, members, joined in crowded.values_list("pk", "members", "joined"):
        team = Team.objects.get(pk=pk)
        allowed = entitlements.get_limit(team, "seats")
        if allowed is not None and members > allowed and joined > _last_change(team):
            yield pk


def _last_change(team: Team) -> datetime:
    """When last something happened by which the team may have lost seats: to it, or to what was bought or given."""
    hers = Q(customer__team=team) | Q(customer__user=team.owner_id)
    bought = Subscription.objects.filter(hers).aggregate(at=Max("changed_at"))
    mine = Q(team=team) | Q(user=team.owner_id)
    past = Q(expires_at__lte=clock.now())
    given = EntitlementOverride.objects.filter(mine).aggregate(
        ended=Max("ended_at"), expired=Max("expires_at", filter=past)
    )
    known: list[datetime] = [at for at in (*bought.values(), *given.values()) if at is not None]
    return max([team.updated_at, *known])


@invariant
def teams_have_an_owner() -> Iterable[str]:
    """Every team has an owner among its members: the one who answers for it."""
    owners = Count("memberships", filter=Q(memberships__role="owner", memberships__user=F("owner")))
    return Team.objects.live().annotate(owners=owners).exclude(owners=1).order_by("pk").values_list("pk", flat=True)
