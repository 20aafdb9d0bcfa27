"""Credentials of a member that outlive their sessions: API keys, and invitations that can still be accepted."""

from collections.abc import Iterator

from django.utils import timezone

from saas.accounts.models import User
from saas.accounts.sessions.long_lived_credentials import LongLivedCredential, register_credential_kind
from saas.teams.models import ApiKey, Invitation


def _api_keys(user: User) -> Iterator[LongLivedCredential]:
    for row in ApiKey.objects.usable(timezone.now()).filter(created_by=user):
        yield LongLivedCredential(
            kind="api_key",
            id=row.id,
            name=row.name,
            team_id=row.team_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


def _invitations(user: User) -> Iterator[LongLivedCredential]:
    """The name of an invitation is its address."""
    for row in Invitation.objects.holding_seats(timezone.now()).filter(invited_by=user, team__deleted_at=None):
        yield LongLivedCredential(
            kind="invitation",
            id=row.id,
            name=row.email,
            team_id=row.team_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


register_credential_kind(
    "api_key",
    listed=_api_keys,
    revoke=lambda user: ApiKey.objects.current().filter(created_by=user).update(revoked_at=timezone.now()),
)
register_credential_kind(
    "invitation",
    listed=_invitations,
    revoke=lambda user: Invitation.objects.open().filter(invited_by=user).update(revoked_at=timezone.now()),
)
