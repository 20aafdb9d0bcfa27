"""What the views of the staff API share: the caller's permissions, and looking up a user."""

from functools import cached_property
from typing import ClassVar

from rest_framework.permissions import IsAuthenticated

from saas.accounts.models import Role
from saas.accounts.staff.staff_roles import Permission, permissions_of_roles, roles_of
from saas.api.views import StaffMay, StaffView


class AdminApiView(StaffView):
    """For staff. ``needs`` is checked before a row is looked up, so callers without it learn nothing of what exists. An
    action's own permission is checked afterwards: 404 comes before 403."""

    permission_classes = (IsAuthenticated, StaffMay)  # type: ignore[assignment]
    needs: ClassVar[Permission | None] = None

    @cached_property
    def roles(self) -> list[Role]:
        """Read once for each request, and never from the token."""
        return roles_of(self.user)

    def may(self, permission: Permission | None) -> bool:
        return permission is None or permission in permissions_of_roles(self.roles)
