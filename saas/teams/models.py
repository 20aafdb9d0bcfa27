"""Teams, their memberships, invitations and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.accounts.models import User
from saas.accounts.sessions import tokens
from saas.fields import PrefixedIdField
from saas.teams.roles import Role


class TeamQuerySet(models.QuerySet["Team"]):
    def live(self) -> TeamQuerySet:
        return self.filter(deleted_at=None)

    def visible_to(self, user: User) -> TeamQuerySet:
        return self.live().filter(memberships__user=user)

    def owned_by(self, user: User) -> TeamQuerySet:
        """The teams that count against the user's plan."""
        return self.live().filter(owner=user)


class Team(models.Model):
    """A deleted team keeps its row, for the invoices that name it, and nothing else: no member, invitation or key.

    ``owner`` is the one owner whose plan counts where the team has none of its own.
    """

    id = PrefixedIdField(prefix="team", primary_key=True)
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_teams")
    metadata = models.JSONField(default=dict, db_default={}, blank=True)  # see ``saas.accounts.metadata``
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def for_user(self, user: User) -> MembershipQuerySet:
        """The user's memberships, with their teams."""
        return self.filter(user=user, team__deleted_at=None).select_related("team", "user")

    def visible_to(self, user: User) -> MembershipQuerySet:
        """All members of the user's teams."""
        return self.filter(team__in=Team.objects.visible_to(user)).select_related("user")

    def owners(self) -> MembershipQuerySet:
        """Owners who can act: a banned one does not count."""
        return self.filter(role=Role.OWNER, user__status=User.Status.ACTIVE).order_by("pk")


class Membership(models.Model):
    id = PrefixedIdField(prefix="mem", primary_key=True)
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_person_and_team"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="a_membership_has_one_of_the_four_roles"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.team_id}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Neither accepted nor revoked; perhaps expired."""
        return self.filter(accepted_at=None, revoked_at=None)

    def holding_seats(self, now: datetime) -> InvitationQuerySet:
        """Those that can still be accepted."""
        return self.open().filter(expires_at__gt=now)

    def visible_to(self, user: User) -> InvitationQuerySet:
        return self.filter(team__in=Team.objects.visible_to(user))

    def by_token(self, raw: str) -> Invitation | None:
        found = self.filter(token_hash=tokens.hash_token(raw), team__deleted_at=None)
        return found.select_related("team", "invited_by").first()


class Invitation(models.Model):
    """An invitation of an address. The token is in the mail only; the row holds its hash."""

    id = PrefixedIdField(prefix="inv", primary_key=True)
    team = models.ForeignKey(Team, models.CASCADE, related_name="invitations")
    email = models.CharField(max_length=254)  # as typed; mail is sent to it
    email_canonical = models.CharField(max_length=254)
    role = models.CharField(max_length=16, choices=Role)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["team", "email_canonical"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_per_address_and_team",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None), name="an_invitation_is_not_accepted_and_revoked"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="an_invitation_has_one_of_the_four_roles"),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.team_id}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def status(self) -> str:
        """Of an open invitation."""
        return "expired" if self.is_expired else "pending"

    @property
    def inviter_name(self) -> str:
        return self.invited_by.full_name or self.invited_by.email


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def current(self) -> ApiKeyQuerySet:
        """Not revoked; perhaps expired."""
        return self.filter(revoked_at=None)

    def usable(self, now: datetime) -> ApiKeyQuerySet:
        """Neither revoked nor expired; a banned user's keys do not work."""
        return self.current().filter(expires_at__gt=now, team__deleted_at=None, created_by__status=User.Status.ACTIVE)

    def visible_to(self, user: User) -> ApiKeyQuerySet:
        return self.filter(team__in=Team.objects.visible_to(user))


class ApiKey(models.Model):
    """An API key of a program. ``prefix`` identifies it to people; the key itself is stored as a hash only."""

    id = PrefixedIdField(prefix="key", primary_key=True)
    team = models.ForeignKey(Team, models.CASCADE, related_name="api_keys")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.CharField(max_length=32)  # spaces between: "read write"
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def scope_list(self) -> list[str]:
        return self.scopes.split()
