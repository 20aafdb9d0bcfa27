"""Who may use the operator API: staff, and on a development machine everyone on that machine."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from saas.accounts.staff.staff_roles import StaffPermission, has_permission
from saas.api.client_address import is_loopback

_PROXY_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


class IsOperator(BasePermission):
    """Staff whose role permits it: to read, or to replay. Where ``WEBHOOKS_OPEN_OPERATOR_API`` is on, also every request from
    this machine without a token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            # A proxy on this machine is on loopback, too: requests through one come from elsewhere.
            is_forwarded = any(header in request.META for header in _PROXY_HEADERS)
            is_local = not is_forwarded and is_loopback(request.META.get("REMOTE_ADDR", ""))
            return settings.WEBHOOKS_OPEN_OPERATOR_API and is_local
        return has_permission(
            request.user,
            StaffPermission.READ_WEBHOOKS if request.method in SAFE_METHODS else StaffPermission.REPLAY_WEBHOOKS,
        )
