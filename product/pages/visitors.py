"""Who looks at a page: a customer, or a member of staff in a customer's name."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone

from saas import request_context
from saas.accounts.models import Audience, Impersonation, LoginSession, User
from saas.accounts.sessions import session_store
from saas.accounts.staff import impersonation_views
from saas.api.accounts.impersonated_view_cookie import read_view_cookie


@dataclass(frozen=True)
class Visitor:
    """``impersonation`` is set where staff look at the page in the customer's name, reading only."""

    session: LoginSession
    user: User
    impersonation: Impersonation | None = None


def find_visitor(request: HttpRequest) -> Visitor | None:
    """Return who looks; None for a visitor without login.

    The impersonated view's cookie wins over a customer's own, which is neither read nor changed. The session cookie is the
    API's, too.
    """
    if viewed := impersonation_views.find_viewed(read_view_cookie(request)):
        impersonation, session = viewed
        assert session.user
        return Visitor(session, session.user, impersonation)
    own: LoginSession | None = request.session.live_session()  # type: ignore[attr-defined]
    if own is None or own.audience != Audience.CUSTOMER or own.user is None:
        return None
    session_store.update_last_seen(own, timezone.now())
    request_context.set_user(str(own.user_id))
    return Visitor(own, own.user)
