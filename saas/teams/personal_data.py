"""Personal data in teams. A team belongs to its members: what a user created there stays after they left."""

from collections.abc import Iterable

from django.conf import settings
from django.db.models import Q

from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import User
from saas.accounts.privacy.data_sources import (
    Exempt,
    export_fields,
    register_audited_ids,
    register_personal_data,
    register_shared_deletion_blocker,
    rows_of,
)
from saas.accounts.privacy.free_text import register_free_text
from saas.accounts.privacy.personal_values import PersonalValues
from saas.billing.models import Subscription
from saas.errors import DomainError
from saas.teams import actions
from saas.teams.actors import Actor, lock_team
from saas.teams.models import ApiKey, Invitation, InvitationQuerySet, Membership, Team
from saas.teams.roles import Role

_ERASED_TEAM, _ERASED_KEY = "Deleted team", "Deleted key"
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


def _leave(user: User, values: PersonalValues) -> None:
    """Leave every team. Delete one that would have no other member or no owner (left by a disavowed account only)."""
    for membership in Membership.objects.for_user(user):
        others = Membership.objects.filter(team=membership.team_id).exclude(user=user)
        if others.exists() and (membership.role != Role.OWNER or others.owners().exists()):
            actions.leave_team(Actor(membership))
        else:
            actions.delete_team(Actor(membership))


def _received_invitations(user: User) -> InvitationQuerySet:
    return Invitation.objects.filter(Q(email_canonical=user.email_canonical) | Q(accepted_by=user))


def _erase_key_names(user: User, values: PersonalValues) -> None:
    """They are revoked as their maker leaves; the rows stay, for the audit trail's ids."""
    ApiKey.objects.filter(created_by=user).update(name=_ERASED_KEY)


def _erase_name(user: User, values: PersonalValues) -> None:
    """Runs after the person has left: what they still own are teams that ended."""
    Team.objects.filter(owner=user, deleted_at__isnull=False).update(name=_ERASED_TEAM)


def _forget_invitations(user: User, values: PersonalValues) -> None:
    """Open ones are deleted; of accepted ones the row stays, without the address."""
    canonical = {canonical_email(email) for email in values.emails}
    received = Invitation.objects.filter(Q(email_canonical__in=canonical) | Q(accepted_by=user))
    received.open().delete()
    received.update(email=_FORGOTTEN, email_canonical=_FORGOTTEN)


register_personal_data(
    Team, "owner",
    name="teams",
    export=export_fields(rows_of(Team, "owner"), "id", "name", "metadata", "created_at", "deleted_at"),
    erase=_erase_name,
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
    erase=_erase_key_names,
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


@register_audited_ids
def _api_keys(user: User) -> Iterable[str]:
    """Keys act under their own ids."""
    return ApiKey.objects.filter(created_by=user).values_list("pk", flat=True)


register_free_text(Team, "name", "metadata")
register_free_text(ApiKey, "name")
