"""Request bodies and response shapes of the authentication API."""

import re
import zoneinfo
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_serializer
from rest_framework import serializers

from saas.accounts.models import Profile, User
from saas.api.fields import MetadataField, NameField, StrictBooleanField, StrictCharField
from saas.api.pagination import PageShape

MAX_SOCIAL_LINKS = 10
_SOCIAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,30}")


class RegisterBody(serializers.Serializer[Any]):
    email = StrictCharField(max_length=254)
    password = StrictCharField(max_length=200, trim_whitespace=False)
    full_name = NameField(max_length=200, required=False, allow_blank=True, default="")


class LoginBody(serializers.Serializer[Any]):
    email = StrictCharField(max_length=254)
    password = StrictCharField(max_length=4096, trim_whitespace=False)


class RefreshBody(serializers.Serializer[Any]):
    refresh_token = StrictCharField(max_length=200)


class LogoutAllBody(serializers.Serializer[Any]):
    revoke_credentials = StrictBooleanField(default=False, help_text="End API keys and open invitations, too.")


class CredentialShape(serializers.Serializer[Any]):
    """A credential that still works after every session has ended."""

    kind = serializers.CharField(help_text="`api_key` or `invitation`.")
    id = serializers.CharField()
    name = serializers.CharField(help_text="What the key was called; whom the invitation asks in.")
    team_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(component_name="LastingCredentials")
class LongLivedCredentialsShape(serializers.Serializer[Any]):
    credentials = CredentialShape(many=True)
    revoked = serializers.BooleanField(help_text="Whether they have ended with the sessions.")


class UserShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.CharField()
    full_name = serializers.CharField()
    locale = serializers.CharField()
    status = serializers.ChoiceField(User.Status.choices)
    is_verified = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class LoginShape(serializers.Serializer[Any]):
    user = UserShape()
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(["bearer"])
    expires_in = serializers.IntegerField(source="expires_in_seconds", help_text="Seconds.")
    refresh_token = serializers.CharField()
    session_id = serializers.CharField(source="session.sid")


@extend_schema_serializer(component_name="HalfLogin")
class PendingMfaShape(serializers.Serializer[Any]):
    """The first factor was right: prove the second at ``mfa/verify``."""

    mfa_required = serializers.BooleanField()
    mfa_token = serializers.CharField(help_text="Five minutes, five tries.")


LOGIN_OR_PENDING_MFA = PolymorphicProxySerializer(
    component_name="LoginOrHalf", serializers=[LoginShape, PendingMfaShape], resource_type_field_name=None
)


class SecondFactorBody(serializers.Serializer[Any]):
    """``code`` of the authenticator, or one of the recovery codes."""

    mfa_token = StrictCharField(max_length=200)
    code = StrictCharField(max_length=20, required=False, default="", allow_blank=True)
    recovery_code = StrictCharField(max_length=40, required=False, default="", allow_blank=True)


class ImpersonationShape(serializers.Serializer[Any]):
    by = serializers.CharField(source="staff_session.user.email")
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField(source="ends_at")


class MeShape(serializers.Serializer[Any]):
    user = UserShape()
    impersonation = ImpersonationShape(allow_null=True)


class SessionShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="sid")
    agent = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    current = serializers.BooleanField()


class SessionsShape(PageShape):
    sessions = SessionShape(many=True)


class JwkShape(serializers.Serializer[Any]):
    kty = serializers.CharField()
    crv = serializers.CharField()
    x = serializers.CharField()
    y = serializers.CharField()
    kid = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()


class JwksShape(serializers.Serializer[Any]):
    keys = JwkShape(many=True)


class CsrfShape(serializers.Serializer[Any]):
    csrf_token = serializers.CharField()


class ProfileBody(serializers.Serializer[Any]):
    """Every field may be left out: what is not sent stays as it is, with PUT as with PATCH."""

    full_name = NameField(max_length=200, required=False, allow_blank=True)
    locale = serializers.ChoiceField(settings.LANGUAGES, required=False, help_text="The language of pages and mails.")
    display_name = NameField(max_length=100, required=False, allow_blank=True)
    avatar_url = StrictCharField(max_length=500, required=False, allow_blank=True)
    timezone = StrictCharField(max_length=64, required=False)
    biography = StrictCharField(max_length=2000, required=False, allow_blank=True)
    social_links = serializers.DictField(child=StrictCharField(max_length=500), required=False)
    marketing_opt_in = StrictBooleanField(required=False)
    visibility = serializers.ChoiceField(Profile.Visibility.choices, required=False)
    metadata = MetadataField(required=False)

    def validate_avatar_url(self, value: str) -> str:
        return value and _web_address(value)

    def validate_timezone(self, value: str) -> str:
        if value not in time_zones():
            raise serializers.ValidationError("This is not a time zone of the IANA database.")
        return value

    def validate_social_links(self, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MAX_SOCIAL_LINKS:
            raise serializers.ValidationError(f"Give at most {MAX_SOCIAL_LINKS} links.")
        if not all(_SOCIAL_NAME.fullmatch(name) for name in value):
            raise serializers.ValidationError("A name is 1 to 30 letters, digits, hyphens or underscores.")
        return {name: _web_address(address) for name, address in value.items()}


@cache
def time_zones() -> frozenset[str]:
    """Read the names once: this walks the whole time zone database on disk."""
    return frozenset(zoneinfo.available_timezones())


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise serializers.ValidationError("Give an address that starts with https:// or http://.")
    return value


class ProfileShape(serializers.Serializer[Any]):
    user_id = serializers.CharField()
    full_name = serializers.CharField(source="user.full_name")
    locale = serializers.CharField(source="user.locale")
    display_name = serializers.CharField()
    avatar_url = serializers.CharField()
    timezone = serializers.CharField()
    biography = serializers.CharField()
    social_links = serializers.DictField(child=serializers.CharField())
    marketing_opt_in = serializers.BooleanField()
    visibility = serializers.ChoiceField(Profile.Visibility.choices)
    metadata = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
