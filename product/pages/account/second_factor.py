"""The second factor: turn it on with an authenticator app, turn it off, new recovery codes."""

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from product.pages.account.base import SectionFormPage
from saas.accounts import second_factor
from saas.accounts.second_factor import SecondFactorNotEnabled
from saas.api import rate_limits
from saas.api.accounts.second_factor import ConfirmBody
from saas.api.accounts.views import set_session_cookie
from saas.api.pages.forms import Field, FormSpec
from saas.api.rate_limits import RateLimit


class _ButtonBody(Serializer[Any]):
    """A form of buttons only."""


class SecondFactorPage(SectionFormPage):
    """Off: a button that begins. On: new codes, or turn it off."""

    here = "account-security"
    template = "product/pages/account/second_factor.html"
    limits: ClassVar[tuple[RateLimit, ...]] = (rate_limits.CREDENTIAL_CHANGES,)
    form = FormSpec(_ButtonBody)

    def context(self) -> dict[str, Any]:
        status = second_factor.second_factor_status(self.known.user)
        return {**super().context(), "is_on": status.enabled, "codes_left": status.recovery_codes_left}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        self.require_recent_login()
        match self.request.POST.get("do"):
            case "off":
                set_session_cookie(Request(self.request), second_factor.disable_second_factor(self.known.session))
                messages.success(self.request, gettext("The second factor is off. All other devices are logged out."))
                return HttpResponseRedirect(reverse("account-security"))
            case "codes":
                return self.show_codes(second_factor.renew_recovery_codes(self.known.user))
            case _:
                second_factor.begin_totp_setup(self.known.user)
                return HttpResponseRedirect(reverse("account-second-factor-setup"))

    def show_codes(self, codes: list[str]) -> HttpResponse:
        """Shown this once, so not behind a redirect."""
        return self.render({"codes": codes, "lines": "\n".join(codes)}, template="product/pages/account/codes.html")


class SetupPage(SecondFactorPage):
    """The QR code, and a field for the first code of the app."""

    template = "product/pages/account/second_factor_setup.html"
    impersonated_reads = False  # it shows the secret
    limits = (rate_limits.MFA, rate_limits.CREDENTIAL_CHANGES)
    form = FormSpec(
        ConfirmBody,
        Field(
            "code",
            _("Code that the app shows"),
            autocomplete="one-time-code",
            inputmode="numeric",
            placeholder="123 456",
        ),
    )

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        try:
            return super().get(request, **place)
        except SecondFactorNotEnabled:
            return HttpResponseRedirect(reverse("account-second-factor"))

    def form_context(self) -> dict[str, Any]:
        return {"setup": second_factor.unconfirmed_setup(self.known.user)}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        try:
            login, codes = second_factor.confirm_totp_setup(self.known.session, body["code"])
        except SecondFactorNotEnabled:
            messages.error(self.request, gettext("That took too long: the code is no longer valid. Begin again."))
            return HttpResponseRedirect(reverse("account-second-factor"))
        set_session_cookie(Request(self.request), login)
        return self.show_codes(codes)
