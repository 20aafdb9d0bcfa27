"""Writes to teams and memberships. Invitations and API keys have modules of their own."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from saas.accounts.metadata import changed_keys, merge_metadata
from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing.models import Subscription
from saas.errors import DomainError, Invalid, NotFound
from saas.teams import roles
from saas.teams.actors import Actor, lock_team, lock_team_for
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.owned_rows import delete_owned_rows
from saas.teams.plan_limits import require_free_team
from saas.teams.roles import Permission, Role
from saas.teams.tasks import notify_seats_changed


class TeamSubscribed(DomainError):
    code, title = "team_subscribed", "Cancel the team's subscription first, and wait until it has ended."  # 409


class LastOwner(DomainError):
    code, title = "last_owner", "A team needs an owner: make someone else one first."  # 409


@transaction.atomic
def create_team(*, name: str, owner: User) -> Membership:
    """Create a team. Raises ``TeamLimitReached``. Returns the owner's membership."""
    # Two requests at once must not both take the last free team.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    require_free_team(owner)
    team = Team.objects.create(name=name, owner=owner)
    membership = Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    record("team.created", actor=owner.id, target=team.id)
    return membership


@transaction.atomic
def update_team(actor: Actor, *, name: str | None = None, metadata: Mapping[str, str] | None = None) -> Membership:
    """Rename the team, and merge ``metadata`` into its own; None leaves either as it is.

    Members may change the declared keys. Raises ``Invalid``, ``MetadataReadOnly``. Returns the actor's membership with the
    updated team.
    """
    actor = lock_team_for(actor, Permission.CHANGE_TEAM)
    team = actor.team
    if name is not None and team.name != name:
        team.name = name
        team.save(update_fields=["name", "updated_at"])
        record("team.renamed", actor=actor.id, target=team.id)
    if metadata is not None:
        merged = merge_metadata(team.metadata, metadata, writable=settings.TEAM_METADATA_WRITABLE)
        _save_metadata(team, merged, by=actor.id)
    return actor.membership


@transaction.atomic
def change_team_metadata(team: Team, *, by: User, changes: Mapping[str, str], reason: str = "") -> dict[str, str]:
    """For staff: merge ``changes`` into a team's metadata and return all of it. Raises ``Invalid``."""
    team = lock_team(team.pk)
    merged = merge_metadata(team.metadata, changes)
    _save_metadata(team, merged, by=by.id, reason=reason)
    return merged


def _save_metadata(team: Team, metadata: dict[str, str], *, by: str, reason: str = "") -> None:
    """Inside the transaction that has locked the team."""
    before, team.metadata = team.metadata, metadata
    if keys := changed_keys(before, metadata):
        team.save(update_fields=["metadata", "updated_at"])
        record("team.metadata_changed", actor=by, target=team.id, reason=reason, keys=keys)


@transaction.atomic
def delete_team(actor: Actor) -> None:
    """Delete a team with its memberships, invitations, keys and what other modules keep for it.

    Raises ``TeamSubscribed`` while it has a subscription.
    """
    team = lock_team_for(actor, Permission.DELETE_TEAM).team
    if settings.BILLING and Subscription.objects.for_owner(team).live().exists():
        raise TeamSubscribed
    record("team.deleted", actor=actor.id, target=team.id, members=team.memberships.count())
    delete_owned_rows(team)
    team.memberships.all().delete()
    team.invitations.all().delete()
    team.api_keys.all().delete()
    ended_at = timezone.now()
    Team.objects.live().filter(pk=team.pk).update(deleted_at=ended_at, updated_at=ended_at, metadata={})


@transaction.atomic
def transfer_team(actor: Actor, *, new_owner_id: str) -> Membership:
    """Make the member ``new_owner_id`` (a user's id) the team's owner; the actor becomes an admin.

    Raises ``TeamLimitReached`` if the new owner's plan allows no further team. Returns the actor's membership.
    """
    actor = lock_team_for(actor, Permission.TRANSFER_TEAM)
    new_owner = _member(actor.team, new_owner_id)
    if new_owner == actor.membership or not new_owner.user.is_active:
        raise Invalid(errors={"user_id": ["Choose another member, with an active account."]})
    User.objects.select_for_update(no_key=True).get(pk=new_owner.user_id)
    if actor.team.owner_id != new_owner.user_id:
        require_free_team(new_owner.user)
    Team.objects.filter(pk=actor.team.pk).update(owner=new_owner.user, updated_at=timezone.now())
    _set_role(new_owner, Role.OWNER)
    _set_role(actor.membership, Role.ADMIN)
    record("team.transferred", actor=actor.id, target=actor.team.id, member=new_owner.user_id)
    return Membership.objects.for_user(actor.membership.user).get(pk=actor.membership.pk)


@transaction.atomic
def change_role(actor: Actor, *, user_id: str, role: Role) -> Membership:
    """Give the member ``user_id`` another role. Raises ``RoleAboveOwn``, ``LastOwner``."""
    actor = lock_team_for(actor, Permission.MANAGE_MEMBERS)
    member = _member(actor.team, user_id)
    actor.require_role_reach(member.role)
    actor.require_role_reach(role)
    if member.role == role:
        return member
    if role != Role.OWNER:
        _ensure_another_owner(member)
    record("membership.role_changed", actor=actor.id, target=actor.team.id, member=user_id, old=member.role, new=role)
    _set_role(member, role)
    return member


@transaction.atomic
def remove_member(actor: Actor, *, user_id: str) -> None:
    """Remove a member: their next request about the team gets 404. Raises ``RoleAboveOwn``, ``LastOwner``."""
    actor = lock_team_for(actor, Permission.MANAGE_MEMBERS)
    member = _member(actor.team, user_id)
    actor.require_role_reach(member.role)
    record("membership.removed", actor=actor.id, target=actor.team.id, member=user_id)
    _delete_membership(member)


@transaction.atomic
def leave_team(actor: Actor) -> None:
    """End the actor's own membership. Raises ``LastOwner``."""
    actor = lock_team_for(actor, Permission.LEAVE_TEAM)
    record("membership.left", actor=actor.id, target=actor.team.id, member=actor.membership.user_id)
    _delete_membership(actor.membership)


def _member(team: Team, user_id: str) -> Membership:
    member = Membership.objects.select_related("user", "team").filter(team=team, user=user_id).first()
    if member is None:
        raise NotFound
    return member


def _delete_membership(member: Membership) -> None:
    _ensure_another_owner(member)
    _withdraw_invitations(member, keep=[])
    _revoke_keys(member)
    member.delete()
    notify_seats_changed(member.team_id)


def _set_role(member: Membership, role: Role) -> None:
    member.role = role
    member.save(update_fields=["role"])
    may_invite = roles.role_has_permission(role, Permission.MANAGE_INVITATIONS)
    _withdraw_invitations(member, keep=roles.assignable_roles(role) if may_invite else [])
    if not roles.role_has_permission(role, Permission.MANAGE_API_KEYS):
        _revoke_keys(member)


def _ensure_another_owner(member: Membership) -> None:
    """Raise ``LastOwner`` if no other member is an owner; else make another one ``Team.owner``."""
    if member.role != Role.OWNER:
        return
    new_owner = Membership.objects.owners().filter(team=member.team_id).exclude(pk=member.pk).first()
    if new_owner is None:
        raise LastOwner
    Team.objects.filter(pk=member.team_id, owner=member.user_id).update(
        owner=new_owner.user_id, updated_at=timezone.now()
    )


def _withdraw_invitations(member: Membership, *, keep: list[Role]) -> None:
    """Revoke the member's open invitations to roles not in ``keep``: they end with the right to give those roles."""
    sent = Invitation.objects.open().filter(team=member.team_id, invited_by=member.user_id)
    sent.exclude(role__in=keep).update(revoked_at=timezone.now())


def _revoke_keys(member: Membership) -> None:
    made = ApiKey.objects.current().filter(team=member.team_id, created_by=member.user_id)
    made.update(revoked_at=timezone.now())
