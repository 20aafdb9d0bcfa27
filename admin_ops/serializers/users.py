"""Users: list, page, and what staff do to them."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from admin_ops.serializers.access import REASON_LENGTH, OverrideShape
from admin_ops.serializers.audit import AuditEventShape
from admin_ops.serializers.billing import InvoiceShape, SubscriptionShape
from saas.accounts.models import Audience, StaffRole, User
from saas.api.accounts.serializers import ProfileShape, UserShape
from saas.api.fields import MetadataField, StrictBooleanField, StrictCharField
from saas.api.pagination import PageQuery, PageShape
from saas.teams.roles import Role

NOTE_LENGTH = 4000
SEARCH_LENGTH = 100


class UsersQuery(PageQuery):
    search = StrictCharField(
        max_length=SEARCH_LENGTH,
        required=False,
        default="",
        allow_blank=True,
        help_text="Part of the address or name, or an exact id: ours or the payment provider's (`cus_…`, `sub_…`, `in_…`).",
    )
    status = serializers.ChoiceField(User.Status.choices, required=False, default="")
    plan = StrictCharField(
        max_length=32,
        required=False,
        default="",
        allow_blank=True,
        help_text="Id of a plan that they are subscribed to; `none` for no subscription.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Where nothing is sold there are no plans."""
        fields = super().get_fields()
        if not settings.BILLING:
            del fields["plan"]
        return fields


class ReasonBody(serializers.Serializer[Any]):
    reason = StrictCharField(max_length=REASON_LENGTH)


class RolesBody(ReasonBody):
    roles = serializers.ListField(child=serializers.ChoiceField(StaffRole.choices), allow_empty=False)


class OptionalReasonBody(serializers.Serializer[Any]):
    reason = StrictCharField(max_length=REASON_LENGTH, required=False, default="", allow_blank=True)


class SessionsRevokeBody(OptionalReasonBody):
    revoke_credentials = StrictBooleanField(
        default=False, help_text="End the API keys and invitations that they made, too."
    )


class NoteBody(serializers.Serializer[Any]):
    text = StrictCharField(max_length=NOTE_LENGTH)


class MetadataBody(OptionalReasonBody):
    metadata = MetadataField()


class MetadataShape(serializers.Serializer[Any]):
    metadata = serializers.DictField(child=serializers.CharField())


class StaffUserShape(UserShape):
    is_staff = serializers.BooleanField()
    status_reason = serializers.CharField()
    last_login_at = serializers.DateTimeField(source="last_login", allow_null=True)


class UsersShape(PageShape):
    users = StaffUserShape(many=True)


class StandingShape(serializers.Serializer[Any]):
    user = StaffUserShape()
    status = serializers.ChoiceField(["banned", "active"])


class StaffSessionShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="sid")
    audience = serializers.ChoiceField(Audience.choices)
    methods = serializers.ListField(child=serializers.CharField())
    agent = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()


class IdentityShape(serializers.Serializer[Any]):
    provider = serializers.CharField()
    email = serializers.CharField()
    linked_at = serializers.DateTimeField(source="created_at")
    last_login_at = serializers.DateTimeField()


class UserNoteShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    text = serializers.CharField()
    author = serializers.CharField(source="author.email")
    created_at = serializers.DateTimeField()


class NewNoteShape(serializers.Serializer[Any]):
    note = UserNoteShape()


class SessionsRevokedShape(serializers.Serializer[Any]):
    sessions_revoked = serializers.IntegerField()
    credentials = serializers.IntegerField(help_text="API keys and open invitations that they had made.")
    credentials_revoked = serializers.BooleanField(help_text="Whether these were revoked, too.")


class WebhookEventShape(serializers.Serializer[Any]):
    event_id = serializers.CharField(source="external_id")
    event_type = serializers.CharField(source="type")
    status = serializers.CharField()
    received_at = serializers.DateTimeField()
    last_error = serializers.CharField()


class NewEventShape(serializers.Serializer[Any]):
    event = WebhookEventShape()


class MailShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    template = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)


class OneMailShape(serializers.Serializer[Any]):
    mail = MailShape()


@extend_schema_serializer(component_name="Team")
class TeamMembershipShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="team_id")
    name = serializers.CharField(source="team.name")
    role = serializers.ChoiceField(Role.choices)
    owner_user_id = serializers.CharField(source="team.owner_id")
    joined_at = serializers.DateTimeField(source="created_at")


class PersonShape(serializers.Serializer[Any]):
    user = StaffUserShape()
    deletion_due_at = serializers.DateTimeField(
        allow_null=True, help_text="While it is pending, be they banned or not."
    )
    profile = ProfileShape(allow_null=True)
    identities = IdentityShape(many=True)
    sessions = StaffSessionShape(many=True)
    teams = TeamMembershipShape(many=True)
    subscriptions = SubscriptionShape(many=True, help_text="Live ones first.")
    overrides = OverrideShape(many=True, help_text="What staff gave them, ended ones too.")
    invoices = InvoiceShape(many=True)
    events = WebhookEventShape(many=True)
    mails = MailShape(many=True)
    notes = UserNoteShape(many=True)
    audit = AuditEventShape(many=True)
