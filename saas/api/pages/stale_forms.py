"""A form whose CSRF token is older than a login in another tab: its page is shown anew, instead of a refusal.

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

# These lead people who are logged in on to another page, where the message would make no sense.
_SIGN_IN = {"login-page", "register-page", "login-code-page"}


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's ``CSRF_FAILURE_VIEW``: a 403, unless a customer who is logged in sent a page's form with an outdated token."""
    person = _customer_on_pages(request)
    # Otherwise the origin or the cookie is at fault, and the next form would be refused, too.
    is_token_wrong = "CSRF token" in reason
    if person is None or not is_token_wrong:
        return csrf_failure(request, reason)
    match = request.resolver_match
    if match is None or match.url_name not in _SIGN_IN:
        with translation.override(page_language(request, person)):
            messages.warning(request, gettext("This page was older than your login, so nothing was sent. Try again."))
    return HttpResponseRedirect(request.get_full_path())


def _customer_on_pages(request: HttpRequest) -> User | None:
    """The customer who is logged in; None for programs, visitors, and staff in a customer's name."""
    if settings.SERVICE != "product" or is_for_programs(request) or read_view_cookie(request):
        return None
    session = request.session.live_session()  # type: ignore[attr-defined]
    return session.user if session and session.audience == Audience.CUSTOMER else None
