"""Who acts in a team, with which permissions, and the locks that checks of them need."""

from dataclasses import dataclass, replace
from enum import StrEnum

from saas.accounts.models import User
from saas.accounts.sessions.logins import InvalidCredentials
from saas.errors import DomainError, Forbidden, NotFound
from saas.teams import roles
from saas.teams.models import ApiKey, Membership, Team
from saas.teams.roles import Role, Scope


class RoleAboveOwn(DomainError):
    code, title, status = "role_above_own", "You may not give, change or remove a role above your own.", 403


@dataclass(frozen=True)
class Actor:
    """A member; or an API key, which acts with the role of the member who made it (an admin's at most) and its scopes."""

    membership: Membership
    key: ApiKey | None = None

    @property
    def id(self) -> str:
        """The actor's id in the audit trail."""
        return self.key.id if self.key else self.membership.user_id

    @property
    def team(self) -> Team:
        return self.membership.team

    @property
    def role(self) -> Role:
        if self.key:
            return roles.lower_role(self.membership.role, roles.MAX_API_KEY_ROLE)
        return Role(self.membership.role)

    def may(self, permission: StrEnum) -> bool:
        in_scope = self.key is None or any(
            permission in roles.PERMISSIONS_BY_SCOPE[Scope(scope)] for scope in self.key.scope_list
        )
        return in_scope and roles.role_has_permission(self.role, permission)

    def require(self, permission: StrEnum) -> None:
        """Raise ``Forbidden`` without ``permission``."""
        if not self.may(permission):
            raise Forbidden

    def require_role_reach(self, role: str) -> None:
        """Raise ``RoleAboveOwn`` for a role that the actor may neither give nor take."""
        if not roles.is_at_least(self.role, role):
            raise RoleAboveOwn


def lock_team(team_id: str) -> Team:
    """Return the team, locked until the transaction ends, so that changes of members or roles run one at a time."""
    team = Team.objects.live().select_for_update(of=("self",), no_key=True).filter(pk=team_id).first()
    if team is None:
        raise NotFound
    return team


def require_sessions_not_revoked(actor: Actor) -> None:
    """Lock the user, after the team; raise ``InvalidCredentials`` if their sessions were revoked since the request came.

    For what outlives a session: created at the moment of a ban or a password reset it would not be revoked by them.
    """
    user = actor.membership.user
    still_in = User.objects.filter(pk=user.pk, status=User.Status.ACTIVE, token_epoch=user.token_epoch)
    if still_in.select_for_update(no_key=True).first() is None:
        raise InvalidCredentials


def lock_team_for(actor: Actor, permission: StrEnum) -> Actor:
    """Lock the team and check again: the actor's role may have changed since the request came."""
    lock_team(actor.team.id)
    membership = Membership.objects.select_related("team", "user").filter(pk=actor.membership.pk).first()
    if membership is None:
        raise NotFound
    fresh = replace(actor, membership=membership)
    fresh.require(permission)
    return fresh
