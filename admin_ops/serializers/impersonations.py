"""Impersonations."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from admin_ops.serializers.access import REASON_LENGTH
from saas.accounts.models import Impersonation
from saas.accounts.staff.impersonations import MAX_MINUTES
from saas.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from saas.api.pagination import PageShape
from saas.api.representation import represent

TICKET_LENGTH = 100


class ImpersonateBody(serializers.Serializer[Any]):
    reason = StrictCharField(max_length=REASON_LENGTH)
    minutes = StrictIntegerField(min_value=1, max_value=MAX_MINUTES, required=False, default=MAX_MINUTES)
    ticket = StrictCharField(max_length=TICKET_LENGTH, required=False, default="", allow_blank=True)
    write = StrictBooleanField(required=False, default=False)
    current_password = StrictCharField(
        max_length=4096,
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="Where the login is older than five minutes.",
    )


class StartedShape(serializers.Serializer[Any]):
    impersonation_id = serializers.CharField(source="id")
    access_token = serializers.CharField(help_text="For Product and Parity.")
    token_type = serializers.ChoiceField(["bearer"])
    expires_at = serializers.DateTimeField(source="ends_at")


class StaffImpersonationShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    by = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(source="session.user_id", allow_null=True)
    email = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    ticket = serializers.CharField()
    write = serializers.BooleanField(source="may_write")
    started_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(source="ends_at")
    ended_at = serializers.DateTimeField(allow_null=True)


def represent_impersonation(row: Impersonation) -> dict[str, Any]:
    """``row`` comes ``listed()``."""
    staff, customer = row.staff_session.user, row.session.user
    by, email = staff.email if staff else None, customer.email if customer else None
    ended_at = row.ended_early_at(timezone.now())
    return represent(StaffImpersonationShape, row, by=by, email=email, ended_at=ended_at)


class ImpersonationsShape(PageShape):
    impersonations = StaffImpersonationShape(many=True)
