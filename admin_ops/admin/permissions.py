"""The staff session and permissions behind a page's cookie, by the same table as the API."""

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.request import Request

from saas.accounts import second_factor
from saas.accounts.models import Audience, LoginSession
from saas.accounts.sessions import session_store
from saas.accounts.staff.staff_roles import StaffPermission, permissions_of
from saas.api.rate_limits import RateLimit, count_request, require_within_limit


def staff_session(request: HttpRequest) -> LoginSession | None:
    """The staff session behind the cookie; ``None`` without one, and for a customer's."""
    row: LoginSession | None = request.session.live_session()  # type: ignore[attr-defined]
    return row if row and row.audience == Audience.STAFF and row.user and row.user.is_staff else None


def request_permissions(request: HttpRequest) -> frozenset[StaffPermission]:
    """Read once for each request, because pages ask many times. Empty for staff who must set up a second factor first."""
    if not hasattr(request, "staff_permissions"):
        permissions: frozenset[StaffPermission] = frozenset()
        session = staff_session(request)
        if session and session.user and not second_factor.is_enrolment_required(session):
            session_store.update_last_seen(session, timezone.now())
            permissions = permissions_of(session.user)
        request.staff_permissions = permissions  # type: ignore[attr-defined]
    return request.staff_permissions  # type: ignore[attr-defined,no-any-return]


def enforce_limits(api_request: Request, *limits: RateLimit) -> None:
    """Count a form among the requests of the API. Raises ``DomainError``."""
    for limit in limits:
        if usage := count_request(limit, api_request):
            require_within_limit(usage)
