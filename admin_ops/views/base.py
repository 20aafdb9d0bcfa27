"""What the views of the staff API share: the caller's permissions, and looking up a user."""

from functools import cached_property
from typing import Any, ClassVar

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from saas import request_context
from saas.accounts.models import StaffRole
from saas.accounts.staff.staff_roles import StaffPermission, permissions_of_roles, roles_of
from saas.api.views import StaffMay, StaffView


class AdminApiView(StaffView):
    """For staff. ``needs`` is checked before a row is looked up, so callers without it learn nothing of what exists. An
    action's own permission is checked afterwards: 404 comes before 403."""

    permission_classes = (IsAuthenticated, StaffMay)  # type: ignore[assignment]
    needs: ClassVar[StaffPermission | None] = None
    reads_may_be_old: ClassVar[bool] = False  # by some seconds: GET is answered from a replica, where there is one

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.reads_may_be_old and request.method == "GET":
            request_context.allow_old_reads()

    @cached_property
    def roles(self) -> list[StaffRole]:
        """Read once for each request, and never from the token."""
        return roles_of(self.user)

    def may(self, permission: StaffPermission | None) -> bool:
        return permission is None or permission in permissions_of_roles(self.roles)
