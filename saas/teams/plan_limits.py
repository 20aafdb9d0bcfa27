"""How many teams, seats and API keys a plan allows. Call the ``require_…`` under the lock of what is counted."""

from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from saas.accounts.models import User
from saas.billing import entitlements
from saas.billing.catalogue.usage import declare_usage
from saas.billing.models import Owner
from saas.errors import DomainError
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.seat_billing import seats_can_grow


class TeamLimitReached(DomainError):
    code, title = "team_limit", "The plan allows no further team."  # 409


class SeatLimitReached(DomainError):
    code, title = "seat_limit", "The plan allows no further seat in this team."  # 409


class ApiKeyLimitReached(DomainError):
    code, title = "api_key_limit", "The plan allows no further API key in this team."  # 409


def seat_limit(team: Team) -> int | None:
    """The number of seats of the team's plan; None is unlimited."""
    return entitlements.get_limit(team, "seats")


def seats_taken(team: Team) -> int:
    """A seat is held by a member or by an invitation that can still be accepted."""
    return _seats_by_team([team])[team.pk]


def seats_needed(owner: Owner | None) -> int:
    """How many the owner must buy at least, where seats are sold; 1 where none is known."""
    return seats_taken(owner) if isinstance(owner, Team) else 1


def _seats_by_team(teams: Iterable[Team]) -> Counter[str]:
    held = Counter[str]()
    for rows in (Membership.objects.all(), Invitation.objects.holding_seats(timezone.now())):
        held.update(dict(rows.filter(team__in=teams).order_by().values_list("team").annotate(Count("pk"))))
    return held


def _working_keys_by_team(teams: Iterable[Team]) -> Counter[str]:
    working = ApiKey.objects.current().filter(expires_at__gt=timezone.now(), team__in=teams)
    return Counter(dict(working.order_by().values_list("team").annotate(Count("pk"))))


def _teams_of(owner: Owner) -> Iterable[Team]:
    return Team.objects.owned_by(owner) if isinstance(owner, User) else Team.objects.filter(pk=owner.pk)


declare_usage("teams", lambda owner: Team.objects.owned_by(owner).count() if isinstance(owner, User) else 0)
declare_usage("seats", lambda owner: max(_seats_by_team(_teams_of(owner)).values(), default=0))
declare_usage("api_keys", lambda owner: max(_working_keys_by_team(_teams_of(owner)).values(), default=0))


def require_free_team(user: User) -> None:
    """Raise ``TeamLimitReached`` if the user owns as many teams as their plan allows."""
    allowed = entitlements.get_limit(user, "teams")
    if allowed is not None and Team.objects.owned_by(user).count() >= allowed:
        raise TeamLimitReached


def require_free_seat(team: Team, *, taken: int) -> None:
    """Raise ``SeatLimitReached`` if ``taken`` seats are all that the plan gives, and no more are bought as they are taken."""
    allowed = seat_limit(team)
    if allowed is not None and taken >= allowed and not (settings.BILLING and seats_can_grow(team, taken=taken)):
        raise SeatLimitReached


def require_free_api_key(team: Team) -> None:
    """Raise ``ApiKeyLimitReached`` if the team has as many working keys as its plan allows."""
    allowed = entitlements.get_limit(team, "api_keys")
    if allowed is not None and _working_keys_by_team([team])[team.pk] >= allowed:
        raise ApiKeyLimitReached
