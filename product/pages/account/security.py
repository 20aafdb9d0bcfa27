"""Password, sign-in providers, and the way to the second factor."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from product.pages.account.base import SectionFormPage, SectionPage
from product.pages.leaving import lead_away
from product.pages.sign_in.providers import refusal_of
from saas.accounts import second_factor
from saas.accounts.models import OAuthIdentity
from saas.accounts.oauth import identities, sign_in
from saas.accounts.oauth.providers import provider_label
from saas.accounts.passwords import password_change
from saas.api import rate_limits
from saas.api.accounts.oauth import browser_id_or_new, is_host_of_pages, set_browser_cookie
from saas.api.accounts.security import ChangePasswordBody
from saas.api.accounts.views import set_session_cookie
from saas.api.pages.forms import Field, FormSpec
from saas.errors import NotFound


class SecurityPage(SectionPage):
    here = "account-security"
    template = "product/pages/account/security.html"

    def get(self, request: HttpRequest, **place: str) -> HttpResponse:
        if refusal := refusal_of(request.GET.get("error", "")):
            messages.error(request, gettext(refusal.detail))
            return HttpResponseRedirect(request.path)
        return self.render()

    def context(self) -> dict[str, Any]:
        user = self.known.user
        status = second_factor.second_factor_status(user)
        linked = {row.provider: row for row in OAuthIdentity.objects.filter(user=user)}
        names = sorted({*settings.OAUTH_PROVIDERS, *linked}) if settings.OAUTH else []
        return {
            **super().context(),
            "has_password": user.has_usable_password(),
            "has_second_factor": status.enabled,
            "codes_left": status.recovery_codes_left,
            "providers": [{"name": n, "label": provider_label(n), "identity": linked.get(n)} for n in names],
        }


class PasswordPage(SectionFormPage):
    here = "account-security"
    template = "product/pages/account/password.html"
    limits = (rate_limits.LOGIN, rate_limits.CREDENTIAL_CHANGES)
    keeps_answers = False  # the answer sets a new cookie
    form = FormSpec(
        ChangePasswordBody,
        Field(
            "new_password", _("New password"), kind="password", autocomplete="new-password",
            help=_("At least 12 characters. A few unrelated words work best."),
        ),
    )  # fmt: skip

    def context(self) -> dict[str, Any]:
        return {**super().context(), "has_password": self.known.user.has_usable_password()}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        self.require_recent_login()
        login = password_change.change_password(self.known.session, new_password=body["new_password"])
        set_session_cookie(Request(self.request), login)
        messages.success(self.request, gettext("Your new password is set. All other devices are logged out."))
        return HttpResponseRedirect(reverse("account-security"))


class ProviderPage(SectionPage):
    """Link or unlink a sign-in provider: buttons of the security page."""

    here = "account-security"

    def back_url(self) -> str:
        return reverse("account-security")

    def get(self, request: HttpRequest, **place: str) -> HttpResponse:
        return HttpResponseRedirect(self.back_url())

    def post(self, request: HttpRequest, provider: str) -> HttpResponse:
        if request.POST.get("do") == "unlink":
            return self._unlink(provider)
        self.enforce_limits(rate_limits.OAUTH)
        chosen = sign_in.get_provider(provider)
        self.require_recent_login()
        browser = browser_id_or_new(Request(request))
        back = f"{settings.FRONTEND_BASE_URL}{self.back_url()}"
        url = sign_in.begin_sign_in(
            chosen, browser=browser, return_to=back, session=self.known.session, at_pages=is_host_of_pages(request)
        )
        return set_browser_cookie(lead_away(request, url, person=self.known.user), browser)

    def _unlink(self, provider: str) -> HttpResponse:
        if not OAuthIdentity.objects.filter(user=self.known.user, provider=provider).exists():
            raise NotFound
        self.require_recent_login()
        identities.unlink_identity(self.known.user, provider=provider)
        messages.success(
            self.request, gettext("You no longer log in with {name}.").format(name=provider_label(provider))
        )
        return HttpResponseRedirect(self.back_url())
