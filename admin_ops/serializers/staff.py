"""Staff logins and roles, and the health of the service."""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from saas.accounts import second_factor
from saas.accounts.models import StaffRole
from saas.accounts.sessions.logins import Login
from saas.accounts.staff.staff_roles import StaffPermission, roles_of
from saas.api.accounts.serializers import LoginShape, PendingMfaShape, UserShape
from saas.api.representation import represent


class RolesShape(serializers.Serializer[Any]):
    role = serializers.ChoiceField(StaffRole.choices, allow_null=True, help_text="The highest of `roles`.")
    roles = serializers.ListField(child=serializers.ChoiceField(StaffRole.choices))


class StaffLoginShape(RolesShape, LoginShape):
    mfa_enrolment_required = serializers.BooleanField(help_text="Only a second factor can be set up with this login.")


class StaffConfirmedShape(StaffLoginShape):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown this once.")


EITHER_STAFF_LOGIN = PolymorphicProxySerializer(
    component_name="StaffLoginOrHalf", serializers=[StaffLoginShape, PendingMfaShape], resource_type_field_name=None
)


class StaffMeShape(RolesShape):
    user = UserShape()
    permissions = serializers.ListField(child=serializers.ChoiceField(StaffPermission.choices))


def roles_of_staff(roles: list[StaffRole]) -> dict[str, Any]:
    """``role`` is the highest of ``roles``; null where there is none yet."""
    return {"role": roles[0].value if roles else None, "roles": [role.value for role in roles]}


def represent_login(login: Login) -> dict[str, Any]:
    required = second_factor.is_enrolment_required(login.session)
    return {**represent(LoginShape, login), **roles_of_staff(roles_of(login.user)), "mfa_enrolment_required": required}


class StaffHealthShape(serializers.Serializer[Any]):
    status = serializers.CharField()
    service = serializers.CharField()
    uptime = serializers.FloatField(help_text="Seconds.")
    audit_events = serializers.IntegerField()
