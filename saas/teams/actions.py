"""Writes to teams and memberships. Invitations and API keys have modules of their own."""

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing.models import Subscription
from saas.errors import DomainError, Invalid, NotFound
from saas.teams import roles
from saas.teams.actors import Actor, lock_team_for
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.plan_limits import require_free_team
from saas.teams.roles import Permission, Role


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
def rename_team(actor: Actor, *, name: str) -> Membership:
    """Rename the team. Returns the actor's membership with the updated team."""
    actor = lock_team_for(actor, Permission.RENAME_TEAM)
    if actor.team.name != name:
        actor.team.name = name
        actor.team.save(update_fields=["name", "updated_at"])
        record("team.renamed", actor=actor.id, target=actor.team.id)
    return actor.membership


@transaction.atomic
def delete_team(actor: Actor) -> None:
    """Delete a team with its memberships, invitations and keys. Raises ``TeamSubscribed`` while it has a subscription."""
    team = lock_team_for(actor, Permission.DELETE_TEAM).team
    if settings.BILLING and Subscription.objects.for_owner(team).live().exists():
        raise TeamSubscribed
    record("team.deleted", actor=actor.id, target=team.id, members=team.memberships.count())
    team.memberships.all().delete()
    team.invitations.all().delete()
    team.api_keys.all().delete()
    Team.objects.live().filter(pk=team.pk).update(deleted_at=timezone.now(), updated_at=timezone.now())


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
