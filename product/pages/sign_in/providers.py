"""Sign-in at a provider, from a page and back to one."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from rest_framework.request import Request

from product.pages.base import Page
from product.pages.next_pages import safe_next
from saas.accounts.oauth import sign_in
from saas.api import rate_limits
from saas.api.accounts.oauth import CALLBACK_REFUSALS, browser_id_or_new, is_host_of_pages, set_browser_cookie
from saas.api.accounts.pending_login_cookie import PENDING_LOGIN
from saas.errors import DomainError

# What a provider's callback may bring back as ``?error=``.
_REFUSALS: dict[str, type[DomainError]] = {refusal.code: refusal for refusal in CALLBACK_REFUSALS}


def refusal_of(code: str) -> DomainError | None:
    """The refusal with which a provider's callback led back here."""
    return _REFUSALS[code]() if code in _REFUSALS else None


class LoginWithPage(Page):
    """Leads to the provider, and from there to ``LoginReturnPage``."""

    impersonated_reads = False

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        self.enforce_limits(rate_limits.OAUTH)
        provider = sign_in.get_provider(place["provider"])
        back = f"{settings.FRONTEND_BASE_URL}{reverse('login-return')}"
        wanted = safe_next(request.GET.get("next", ""))
        return_to = f"{back}?{urlencode({'next': wanted})}" if wanted else back
        browser = browser_id_or_new(Request(request))
        url = sign_in.begin_sign_in(
            provider,
            browser=browser,
            return_to=return_to if len(return_to) <= sign_in.MAX_RETURN_TO else back,
            at_pages=is_host_of_pages(request),
        )
        return set_browser_cookie(HttpResponseRedirect(url), browser)


class LoginReturnPage(Page):
    """Back from the provider: logged in, halfway, or refused."""

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        wanted = safe_next(request.GET.get("next", ""))
        query = {"next": wanted} if wanted else {}
        error = request.GET.get("error", "")
        if error and not self.visitor:
            return HttpResponseRedirect(f"{reverse('login-page')}?{urlencode({**query, 'error': error[:50]})}")
        if refusal := refusal_of(error):
            messages.error(request, gettext(refusal.detail))
        elif PENDING_LOGIN.read(request):  # also of one who is logged in and renews the login
            return HttpResponseRedirect(f"{reverse('login-code-page')}?{urlencode(query)}")
        return HttpResponseRedirect(safe_next(wanted, reverse("account" if self.visitor else "login-page")))
