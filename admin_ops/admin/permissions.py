"""The staff session and permissions behind a page's cookie, by the same table as the API."""

from django.http import HttpRequest
from django.utils import timezone

from saas.accounts import second_factor
from saas.accounts.models import Audience, LoginSession
from saas.accounts.sessions import session_store
from saas.accounts.staff.staff_roles import Permission, permissions_of

_NOTHING: frozenset[Permission] = frozenset()


def staff_session(request: HttpRequest) -> LoginSession | None:
    """The staff session behind the cookie; ``None`` without one, and for a customer's."""
    row: LoginSession | None = request.session.live_session()  # type: ignore[attr-defined]
    return row if row and row.audience == Audience.STAFF and row.user and row.user.is_staff else None


def request_permissions(request: HttpRequest) -> frozenset[Permission]:
    """Read once for each request, because pages ask many times."""
    if not hasattr(request, "staff_permissions"):
        request.staff_permissions = _read(request)  # type: ignore[attr-defined]
    return request.staff_permissions  # type: ignore[attr-defined,no-any-return]


def _read(request: HttpRequest) -> frozenset[Permission]:
    session = staff_session(request)
    if session is None or session.user is None or second_factor.is_enrolment_required(session):
        return _NOTHING
    session_store.update_last_seen(session, timezone.now())
    return permissions_of(session.user)
