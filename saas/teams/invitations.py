"""Invite people to a team by mail, and accept an invitation with or without an account."""

import secrets
from collections.abc import Iterator
from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from saas.accounts.account_handover import log_in_verified_email
from saas.accounts.email_addresses import InvalidAddress, canonical_email, deliverable_email
from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.models import User
from saas.accounts.passwords.validators import check_new_password
from saas.accounts.sessions import tokens
from saas.accounts.sessions.logins import Login
from saas.audit.actions import record
from saas.errors import DomainError, NotFound
from saas.mail.actions import queue_mail
from saas.teams.actors import Actor, RoleAboveOwn, lock_team, lock_team_for, require_sessions_not_revoked
from saas.teams.models import Invitation, Membership, Team
from saas.teams.plan_limits import require_free_seat, seats_taken
from saas.teams.roles import Permission, Role
from saas.teams.tasks import notify_seats_changed

INVITATION_LIFETIME = timedelta(days=7)
TOKEN_PREFIX = "it_"


class AlreadyMember(DomainError):
    code, title = "already_member", "This person is in the team already."  # 409


class AlreadyInvited(DomainError):
    code, title = "already_invited", "There is an open invitation to this address already."  # 409


class InvitationForAnotherAddress(DomainError):
    code, title, status = "invitation_for_another_address", "This invitation was sent to another address.", 403


class InvitationUsed(DomainError):
    code, title = "invitation_used", "This invitation has been accepted already."  # 409


class InvitationExpired(DomainError):
    code, title, status = "invitation_expired", "This invitation has expired. Ask for another one.", 410


class InvitationRevoked(DomainError):
    code, title, status = "invitation_revoked", "This invitation is not valid any more.", 410


@transaction.atomic
def invite(actor: Actor, *, email: str, role: Role) -> Invitation:
    """Invite an address to the team by mail, with or without an account here.

    Raises ``InvalidAddress``, ``RoleAboveOwn``, ``AlreadyMember``, ``AlreadyInvited``, ``SeatLimitReached``.
    """
    address = canonical_email(email)
    asked, actor = actor, lock_team_for(actor, Permission.MANAGE_INVITATIONS)
    require_sessions_not_revoked(asked)
    actor.require_role_reach(role)
    _require_new(actor.team, address)
    require_free_seat(actor.team, taken=seats_taken(actor.team))
    raw, now = _new_token(), timezone.now()
    invitation = Invitation.objects.create(
        team=actor.team,
        email=deliverable_email(email),
        email_canonical=address,
        role=role,
        token_hash=tokens.hash_token(raw),
        invited_by=actor.membership.user,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
    )
    record("invitation.created", actor=actor.id, target=actor.team.id, invitation=invitation.id, role=role)
    _queue_invitation_mail(invitation, raw)
    return invitation


def _require_new(team: Team, address: str) -> None:
    if team.memberships.filter(user__email_canonical=address).exists():
        raise AlreadyMember
    earlier = team.invitations.open().filter(email_canonical=address)
    if earlier.filter(expires_at__gt=timezone.now()).exists():
        raise AlreadyInvited
    earlier.update(revoked_at=timezone.now())  # an expired one; only one open invitation per address is allowed


@transaction.atomic
def resend_invitation(actor: Actor, invitation: Invitation) -> Invitation:
    """Send an open invitation again, for another seven days and in the actor's name. The earlier link stops working."""
    actor = lock_team_for(actor, Permission.MANAGE_INVITATIONS)
    invitation = _still_open(invitation)
    actor.require_role_reach(invitation.role)
    if invitation.is_expired:  # an expired one holds no seat
        require_free_seat(actor.team, taken=seats_taken(actor.team))
    raw = _new_token()
    invitation.token_hash = tokens.hash_token(raw)
    invitation.expires_at = timezone.now() + INVITATION_LIFETIME
    invitation.invited_by = actor.membership.user
    invitation.save(update_fields=["token_hash", "expires_at", "invited_by"])
    record("invitation.resent", actor=actor.id, target=actor.team.id, invitation=invitation.id)
    _queue_invitation_mail(invitation, raw)
    return invitation


@transaction.atomic
def revoke_invitation(actor: Actor, invitation: Invitation) -> None:
    """Withdraw an open invitation."""
    actor = lock_team_for(actor, Permission.MANAGE_INVITATIONS)
    actor.require_role_reach(_still_open(invitation).role)
    Invitation.objects.open().filter(pk=invitation.pk).update(revoked_at=timezone.now())
    record("invitation.revoked", actor=actor.id, target=actor.team.id, invitation=invitation.id)


def _still_open(invitation: Invitation) -> Invitation:
    found = Invitation.objects.open().select_related("team").filter(pk=invitation.pk).first()
    if found is None:
        raise NotFound
    return found


def find_invitation(raw: str) -> Invitation:
    """The invitation of the mail's token, if it can be accepted. Changes nothing.

    Raises ``NotFound``, ``InvitationUsed``, ``InvitationExpired``, ``InvitationRevoked``.
    """
    invitation = _invitation_by_token(raw)
    _require_acceptable(invitation)
    return invitation


def is_invited(email: str) -> bool:
    """Whether there is an invitation to the address that can be accepted."""
    try:
        return any(_acceptable(canonical_email(email)))
    except InvalidAddress:
        return False


def _acceptable(address: str) -> Iterator[Invitation]:
    waiting = Invitation.objects.holding_seats(timezone.now()).filter(email_canonical=address, team__deleted_at=None)
    return filter(_inviter_may_still_invite, waiting.select_related("invited_by"))


def invitations_of(user: User) -> QuerySet[Invitation]:
    """The invitations to the user's verified address, which they can accept without the mail. None before it is verified."""
    if not user.is_verified:
        return Invitation.objects.none()
    acceptable = [one.pk for one in _acceptable(user.email_canonical)]
    rows = Invitation.objects.filter(pk__in=acceptable).exclude(team__memberships__user=user)
    return rows.select_related("team", "invited_by")


@transaction.atomic
def accept_invitation(raw: str, *, user: User) -> Membership:
    """Join by the token of the mail. Only the invited address may, once it is verified.

    Raises ``NotFound``, ``InvitationForAnotherAddress``, ``EmailNotVerified``, ``InvitationUsed``, ``InvitationExpired``,
    ``InvitationRevoked``, ``AlreadyMember``, ``SeatLimitReached``.
    """
    invitation = _invitation_for(user, raw)
    lock_team(invitation.team_id)
    invitation = _invitation_for(user, raw)  # again, now under the lock
    _require_acceptable(invitation)
    return _create_membership(invitation, user)


@transaction.atomic
def accept_own_invitation(invitation_id: str, *, user: User) -> Membership:
    """Join by one of ``invitations_of``. Raises ``NotFound`` for any other, ``SeatLimitReached``."""
    lock_team(_own_invitation(invitation_id, user).team_id)
    return _create_membership(_own_invitation(invitation_id, user), user)  # found again, now under the lock


def _own_invitation(invitation_id: str, user: User) -> Invitation:
    if invitation := invitations_of(user).filter(pk=invitation_id).first():
        return invitation
    raise NotFound


def register_by_invitation(raw: str, *, password: str, full_name: str) -> tuple[Login, Membership]:
    """Join by the token of the mail without an account: the invited address gets one, confirmed, and is logged in.

    The token proves the mailbox, so an existing unconfirmed account is emptied and handed over.
    Raises what ``accept_invitation`` does, and ``Invalid`` for the password or ``EmailTaken`` for a confirmed account.
    """
    invitation = find_invitation(raw)
    name = full_name.strip()
    check_new_password(password, User(email=invitation.email, full_name=name))
    encoded = make_password(password)
    with transaction.atomic():
        lock_team(invitation.team_id)
        invitation = find_invitation(raw)  # again, now under the lock
        login = log_in_verified_email(email=invitation.email, full_name=name, encoded=encoded, methods="pwd")
        return login, _create_membership(invitation, login.user)


def _create_membership(invitation: Invitation, user: User) -> Membership:
    team = invitation.team
    if team.memberships.filter(user=user).exists():
        raise AlreadyMember
    require_free_seat(team, taken=team.memberships.count())
    Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=timezone.now(), accepted_by=user)
    record("invitation.accepted", actor=user.id, target=team.id, invitation=invitation.id, role=invitation.role)
    notify_seats_changed(team.pk)
    return Membership.objects.create(team=team, user=user, role=invitation.role)


def _invitation_by_token(raw: str) -> Invitation:
    invitation = Invitation.objects.by_token(raw)
    if invitation is None:
        raise NotFound
    return invitation


def _invitation_for(user: User, raw: str) -> Invitation:
    invitation = _invitation_by_token(raw)
    if invitation.email_canonical != user.email_canonical:
        raise InvitationForAnotherAddress
    if not user.is_verified:
        raise EmailNotVerified
    return invitation


def _require_acceptable(invitation: Invitation) -> None:
    if invitation.accepted_at:
        raise InvitationUsed
    if invitation.revoked_at or not _inviter_may_still_invite(invitation):
        raise InvitationRevoked
    if invitation.is_expired:
        raise InvitationExpired


def _inviter_may_still_invite(invitation: Invitation) -> bool:
    inviter = Membership.objects.filter(team=invitation.team_id, user=invitation.invited_by_id).first()
    if inviter is None or not invitation.invited_by.is_active:
        return False
    try:
        Actor(inviter).require_role_reach(invitation.role)
    except RoleAboveOwn:
        return False
    return Actor(inviter).may(Permission.MANAGE_INVITATIONS)


def _new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _queue_invitation_mail(invitation: Invitation, raw: str) -> None:
    inviter = invitation.invited_by
    invited = User.objects.by_email(invitation.email)
    queue_mail(
        "team_invitation",
        to=invitation.email,
        locale=(invited or inviter).locale,
        context={"team": invitation.team.name, "inviter": invitation.inviter_name},
        secrets={"token": raw},
        dedupe_key=f"invitation:{invitation.id}:{invitation.token_hash[:16]}",
    )
