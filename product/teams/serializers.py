"""What comes in and goes out of the team endpoints."""

from typing import Any

from rest_framework import serializers

from saas.api.accounts.security import CurrentPasswordBody
from saas.api.accounts.serializers import LoginShape, RegisterBody
from saas.api.fields import MetadataField, NameField, StrictCharField, StrictIntegerField
from saas.api.pagination import PageShape
from saas.teams.roles import Role, Scope

MAX_NAME_LENGTH = 100
MAX_KEY_DAYS = 365


class TeamBody(serializers.Serializer[Any]):
    name = NameField(max_length=MAX_NAME_LENGTH)


class TeamChangeBody(serializers.Serializer[Any]):
    """Every field may be left out: what is not sent stays as it is."""

    name = NameField(max_length=MAX_NAME_LENGTH, required=False)
    metadata = MetadataField(required=False)


class RoleBody(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.choices)


class TransferBody(serializers.Serializer[Any]):
    user_id = StrictCharField(max_length=40)


class InvitationBody(serializers.Serializer[Any]):
    email = StrictCharField(max_length=254)
    role = serializers.ChoiceField(Role.choices, default=Role.MEMBER)


class AcceptBody(serializers.Serializer[Any]):
    token = StrictCharField(max_length=200, help_text="From the link in the invitation's mail.")


class InvitedBody(RegisterBody):
    """What registering asks for, but the address: that is the invitation's."""

    email = None  # type: ignore[assignment]
    token = StrictCharField(max_length=200, help_text="From the link in the invitation's mail.")


class ApiKeyBody(CurrentPasswordBody):
    name = NameField(max_length=MAX_NAME_LENGTH)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices), allow_empty=False, min_length=1, max_length=2
    )
    expires_in_days = StrictIntegerField(min_value=1, max_value=MAX_KEY_DAYS, default=MAX_KEY_DAYS)


class TeamShape(serializers.Serializer[Any]):  # made from the caller's ``Membership`` of the team
    id = serializers.CharField(source="team_id")
    name = serializers.CharField(source="team.name")
    owner_user_id = serializers.CharField(source="team.owner_id")
    role = serializers.ChoiceField(Role.choices, help_text="The caller's own role.")
    metadata = serializers.DictField(child=serializers.CharField(), source="team.metadata")
    created_at = serializers.DateTimeField(source="team.created_at")


class OneTeamShape(serializers.Serializer[Any]):
    team = TeamShape()


class JoinedShape(LoginShape, OneTeamShape):
    """A login, and the team that it is now in."""


class SeatsShape(serializers.Serializer[Any]):
    taken = serializers.IntegerField(help_text="Members and open invitations.")
    limit = serializers.IntegerField(allow_null=True, help_text="What the plan allows; null is unlimited.")


class TeamDetailShape(OneTeamShape):
    seats = SeatsShape()


class TeamsShape(PageShape):
    teams = TeamShape(many=True)


class MemberShape(serializers.Serializer[Any]):
    user_id = serializers.CharField()
    email = serializers.CharField(source="user.email")
    full_name = serializers.CharField(source="user.full_name")
    role = serializers.ChoiceField(Role.choices)
    joined_at = serializers.DateTimeField(source="created_at")


class OneMemberShape(serializers.Serializer[Any]):
    member = MemberShape()


class MembersShape(PageShape):
    members = MemberShape(many=True)


class InvitationShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    team_id = serializers.CharField()
    email = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    status = serializers.ChoiceField(["pending", "expired"])
    invited_by = serializers.CharField(source="invited_by_id")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class OwnInvitationShape(serializers.Serializer[Any]):
    """For who is invited."""

    id = serializers.CharField()
    team_id = serializers.CharField()
    team_name = serializers.CharField(source="team.name")
    role = serializers.ChoiceField(Role.choices)
    invited_by_name = serializers.CharField(source="inviter_name")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class OwnInvitationsShape(PageShape):
    invitations = OwnInvitationShape(many=True)


class OneInvitationShape(serializers.Serializer[Any]):
    invitation = InvitationShape()


class InvitationsShape(PageShape):
    invitations = InvitationShape(many=True)


class ApiKeyShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), source="scope_list")
    created_by = serializers.CharField(source="created_by_id")
    created_by_email = serializers.CharField(source="created_by.email")
    created_by_name = serializers.CharField(source="created_by.full_name")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class NewApiKeyShape(serializers.Serializer[Any]):
    api_key = ApiKeyShape()
    secret = serializers.CharField(help_text="The key itself, for the Authorization header. It is shown this once.")


class ApiKeysShape(PageShape):
    api_keys = ApiKeyShape(many=True)
