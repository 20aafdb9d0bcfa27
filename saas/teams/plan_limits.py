"""How many teams, seats and API keys a plan allows. Call the ``require_…`` under the lock of what is counted."""

from django.utils import timezone

from saas.accounts.models import User
from saas.billing import entitlements
from saas.errors import DomainError
from saas.teams.models import Team


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
    return team.memberships.count() + team.invitations.holding_seats(timezone.now()).count()


def require_free_team(user: User) -> None:
    """Raise ``TeamLimitReached`` if the user owns as many teams as their plan allows."""
    allowed = entitlements.get_limit(user, "teams")
    if allowed is not None and Team.objects.owned_by(user).count() >= allowed:
        raise TeamLimitReached


def require_free_seat(team: Team, *, taken: int) -> None:
    """Raise ``SeatLimitReached`` if ``taken`` seats are all that the plan gives."""
    allowed = seat_limit(team)
    if allowed is not None and taken >= allowed:
        raise SeatLimitReached


def require_free_api_key(team: Team) -> None:
    """Raise ``ApiKeyLimitReached`` if the team has as many working keys as its plan allows."""
    allowed = entitlements.get_limit(team, "api_keys")
    if allowed is not None and team.api_keys.current().filter(expires_at__gt=timezone.now()).count() >= allowed:
        raise ApiKeyLimitReached
