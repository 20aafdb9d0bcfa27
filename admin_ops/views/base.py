"""What every view of the staff API shares: who may, and the person that a page is about."""

from functools import cached_property
from typing import ClassVar, cast

from rest_framework.permissions import IsAuthenticated

from admin_ops.serializers.users import OptionalReasonBody
from saas.accounts.models import Role, User
from saas.accounts.staff.staff_roles import Permission, permissions_of_roles, roles_of
from saas.api.permissions import StaffMay
from saas.api.views import StaffView
from saas.errors import Forbidden, NotFound


class AdminApiView(StaffView):
    """For staff. ``needs`` is asked before an object is looked up; what a single method needs besides, it asks by
    ``require`` afterwards: so who may not see people at all learns nothing of who exists, and everybody else gets 404
    before 403."""

    permission_classes = (IsAuthenticated, StaffMay)  # type: ignore[assignment]
    needs: ClassVar[Permission | None] = None

    @cached_property
    def roles(self) -> list[Role]:
        """Read once for each request, and never from the token."""
        return roles_of(self.user)

    def may(self, permission: Permission | None) -> bool:
        return permission is None or permission in permissions_of_roles(self.roles)

    def require(self, permission: Permission) -> None:
        if not self.may(permission):
            raise Forbidden("Your role does not allow this.")

    def reason(self) -> str:
        """What the body says about why, where saying so is up to the caller."""
        return str(self.optional_body(OptionalReasonBody)["reason"])


class UserApiView(AdminApiView):
    """About one account, customer or staff."""

    needs = Permission.READ_USERS

    def person(self, user_id: str) -> User:
        try:
            return cast(User, User.objects.get(pk=user_id))
        except User.DoesNotExist as error:
            raise NotFound from error
