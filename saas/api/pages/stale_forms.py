"""A form whose CSRF token is of before a login in another tab: its page is shown as it is now, instead of a refusal.

``OriginCheckMiddleware`` has made sure that no other site sent it, and what was sent is not acted on.
"""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.translation import gettext

from saas.accounts.models import Audience, User
from saas.api.accounts.impersonated_view_cookie import read_view_cookie
from saas.api.pages.errors import is_for_programs
from saas.api.pages.rendering import page_language
from saas.api.problems import csrf_failure

_SIGN_IN = {
    "login-page",
    "register-page",
    "login-code-page",
}  # who is logged in is led on from these, and had nothing to say


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's ``CSRF_FAILURE_VIEW``: a 403, but for a token of before in a form of who is logged in at a page of Product."""
    person = _who_sent_a_form(request)
    if (
        person is None or "CSRF token" not in reason
    ):  # the origin or the cookie is at fault: the next one would be refused, too
        return csrf_failure(request, reason)
    match = request.resolver_match
    if match is None or match.url_name not in _SIGN_IN:
        with translation.override(page_language(request, person)):
            messages.warning(request, gettext("This page was older than your login, so nothing was sent. Try again."))
    return HttpResponseRedirect(request.get_full_path())


def _who_sent_a_form(request: HttpRequest) -> User | None:
    """The customer who is logged in; None for programs, visitors, and staff in a customer's name."""
    if settings.SERVICE != "product" or is_for_programs(request) or read_view_cookie(request):
        return None
    session = request.session.live_session()  # type: ignore[attr-defined]
    return session.user if session and session.audience == Audience.CUSTOMER else None
