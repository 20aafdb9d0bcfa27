"""How long the rows of teams are kept."""

from datetime import datetime, timedelta

from django.db.models import Q

from saas.operations.retention.rules import delete_when, delete_with, keep
from saas.teams.models import ApiKey, Invitation, Membership, Team

ENDED_INVITATIONS = timedelta(days=90)  # they hold the address of a person who may never have come
ENDED_API_KEYS = timedelta(days=400)


def _invitation_expired(now: datetime) -> Q:
    until = now - ENDED_INVITATIONS
    return Q(accepted_at__lt=until) | Q(revoked_at__lt=until) | Q(accepted_at=None, expires_at__lt=until)


def _api_key_expired(now: datetime) -> Q:
    return Q(revoked_at__lt=now - ENDED_API_KEYS) | Q(expires_at__lt=now - ENDED_API_KEYS)


delete_when(Invitation, _invitation_expired)
delete_when(ApiKey, _api_key_expired)
keep(Team, reason="Invoices and the audit trail name it, also when it was deleted.")
delete_with(Membership, "team", "user")
