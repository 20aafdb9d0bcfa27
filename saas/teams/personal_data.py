"""Personal data in teams. A team belongs to its members: what a user created there stays after they left."""

from django.conf import settings
from django.db.models import Q

from saas.accounts.models import User
from saas.accounts.privacy.data_sources import (
    Exempt,
    export_fields,
    register_personal_data,
    register_shared_deletion_blocker,
    rows_of,
)
from saas.billing.models import Subscription
from saas.errors import DomainError
from saas.teams import actions
from saas.teams.actors import Actor, lock_team
from saas.teams.models import ApiKey, Invitation, InvitationQuerySet, Membership, Team
from saas.teams.roles import Role

_FORGOTTEN = "forgotten@deleted.invalid"


class TeamNeedsOwner(DomainError):
    code = "team_needs_owner"  # 409
    title = "You are the only owner of a team that has other members. Transfer or delete it first."


@register_shared_deletion_blocker
def _require_heirs(user: User) -> None:
    """Locks the user's teams in the order of their keys: of two owners who leave at once one must stay."""
    owned = Membership.objects.for_user(user).filter(role=Role.OWNER).order_by("team_id")
    for team in [lock_team(membership.team_id) for membership in owned]:
        others = Membership.objects.filter(team=team).exclude(user=user)
        if not others.exists():
            if settings.BILLING and Subscription.objects.for_owner(team).live().exists():
                raise actions.TeamSubscribed
        elif not others.owners().exists():
            raise TeamNeedsOwner


def _leave(user: User) -> None:
    """A team without other members is deleted; so is one that would have no owner, which only a disavowed account leaves."""
    for membership in Membership.objects.for_user(user):
        others = Membership.objects.filter(team=membership.team_id).exclude(user=user)
        if others.exists() and (membership.role != Role.OWNER or others.owners().exists()):
            actions.leave_team(Actor(membership))
        else:
            actions.delete_team(Actor(membership))


def _received_invitations(user: User) -> InvitationQuerySet:
    return Invitation.objects.filter(Q(email_canonical=user.email_canonical) | Q(accepted_by=user))


def _forget_invitations(user: User) -> None:
    """Open ones are deleted; of accepted ones the row stays, without the address."""
    received = _received_invitations(user)
    received.open().delete()
    received.update(email=_FORGOTTEN, email_canonical=_FORGOTTEN)


register_personal_data(
    Team, "owner",
    name="teams",
    export=export_fields(rows_of(Team, "owner"), "id", "name", "created_at", "deleted_at"),
    erase=Exempt("It has another owner by then, or is deleted."),
)  # fmt: skip
register_personal_data(
    Invitation, "invited_by",
    name="invitations_sent",  # without the addresses, which are other people's data
    export=export_fields(rows_of(Invitation, "invited_by"), "team_id", "role", "created_at", "accepted_at"),
    erase=Exempt("The open ones are withdrawn as they leave; the others tell how the team's members came."),
)  # fmt: skip
register_personal_data(
    ApiKey, "created_by",
    name="api_keys",
    export=export_fields(
        rows_of(ApiKey, "created_by"),
        "id", "team_id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at",
    ),
    erase=Exempt("They are revoked as their maker leaves."),
)  # fmt: skip
register_personal_data(
    Invitation, "email", "email_canonical", "accepted_by",
    name="invitations",
    export=export_fields(_received_invitations, "team_id", "email", "role", "created_at", "accepted_at"),
    erase=_forget_invitations,
)  # fmt: skip
register_personal_data(
    Membership, "user",
    name="memberships",
    export=export_fields(Membership.objects.for_user, "team_id", "team__name", "role", "created_at"),
    erase=_leave,
)  # fmt: skip
