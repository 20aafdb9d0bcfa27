"""DRF permissions on top of the domain's tables of rights."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class StaffMay(BasePermission):
    """The caller's roles include the permission that the view names in ``needs``; a view without one is for all staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user.is_staff and view.may(view.needs))  # type: ignore[attr-defined]
