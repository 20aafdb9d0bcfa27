"""The pages behind mailed links, and the one that asks for such a link. A front end of one's own (``FRONTEND_BASE_URL``)
replaces them.

GET changes nothing: mail programs follow links before people do.
"""

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _

from product.pages.base import FormPage
from saas.accounts import email_verification
from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import OneTimeToken
from saas.accounts.one_time_tokens import OneTimeTokenInvalid, find_one_time_token
from saas.accounts.passwords import password_change
from saas.accounts.privacy import account_deletion
from saas.api import rate_limits
from saas.api.accounts import device_cookie
from saas.api.accounts.security import ForgotBody, ResetBody, TokenBody
from saas.api.pages.forms import Field, Form, FormSpec
from saas.errors import DomainError

MAX_TOKEN = 500
TOKEN = Field("token", "", kind="hidden")


class MailedLinkPage(FormPage):
    """``use`` does what the link is for, and its result is the template's ``outcome``."""

    form: ClassVar[FormSpec] = FormSpec(TokenBody, TOKEN)
    limits = (rate_limits.MAILED_LINK,)
    is_over = False  # sending the form again would not help
    found: Mapping[str, Any] = {}  # what the form shows of what the link is for

    def initial(self) -> dict[str, Any]:
        return {"token": self.request.GET.get("token", "")[:MAX_TOKEN]}

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        """Say that a link is over before anything is typed."""
        form = self.form.blank(**self.initial())
        try:
            self.found = self.preview_link(form.values["token"])
        except DomainError as refusal:
            return self.show_refusal(form, refusal)
        return self.show(form)

    @abstractmethod
    def preview_link(self, token: str) -> dict[str, Any]:
        """Return what the form shows of what the link is for. Change nothing. Raises ``OneTimeTokenInvalid``."""

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        self.enforce_limits(rate_limits.mailed_link_token_limit(body["token"]))
        return self.render({"done": True, "outcome": self.use(body)})

    @abstractmethod
    def use(self, body: dict[str, Any]) -> object:
        """Act on the link's token. Return what the template shows as ``outcome``."""

    def show_refusal(self, form: Form, refusal: DomainError) -> HttpResponse:
        """A link without a readable token is like one that is over: no field shows what is wrong with it."""
        if TOKEN.name in (refusal.errors or {}):
            refusal = OneTimeTokenInvalid()
        self.is_over = isinstance(refusal, OneTimeTokenInvalid)
        if not self.is_over:
            with suppress(OneTimeTokenInvalid):  # another field was refused, and the link ended meanwhile
                self.found = self.preview_link(form.values["token"])
        return super().show_refusal(form, refusal)

    def form_context(self) -> dict[str, Any]:
        return dict(self.found)

    def context(self) -> dict[str, Any]:
        return {"over": self.is_over}


class VerifyPage(MailedLinkPage):
    """Confirms an address, or takes the account away of one who says "this was not me"."""

    template = "product/pages/verify.html"

    def preview_link(self, token: str) -> dict[str, Any]:
        return {"preview": email_verification.preview_verification(token)}

    def use(self, body: dict[str, Any]) -> object:
        if self.request.POST.get("answer") == "not-mine":
            return "removed" if email_verification.report_unrecognized(body["token"]) else "canceled"
        is_change = email_verification.verify_email(body["token"]) == OneTimeToken.Purpose.CHANGE
        return "changed" if is_change else "confirmed"


class ResetPage(MailedLinkPage):
    template = "product/pages/reset.html"
    form = FormSpec(
        ResetBody,
        TOKEN,
        Field(
            "new_password",
            _("New password"),
            kind="password",
            autocomplete="new-password",
            help=_("At least 12 characters. A few unrelated words work best."),
        ),
    )

    def preview_link(self, token: str) -> dict[str, Any]:
        return {"address": find_one_time_token(token, OneTimeToken.Purpose.RESET).user.email}

    def use(self, body: dict[str, Any]) -> object:
        user = password_change.reset_password(body["token"], new_password=body["new_password"])
        device_cookie.remember_device(self.request, user)
        return None


class KeepPage(MailedLinkPage):
    template = "product/pages/keep.html"

    def preview_link(self, token: str) -> dict[str, Any]:
        find_one_time_token(token, OneTimeToken.Purpose.KEEP)
        return {}

    def use(self, body: dict[str, Any]) -> object:
        return account_deletion.cancel_deletion(body["token"])


class ForgotPage(FormPage):
    template = "product/pages/forgot.html"
    form = FormSpec(ForgotBody, Field("email", _("E-mail address"), kind="email", autocomplete="email"))
    limits = (rate_limits.PASSWORD_FORGOT,)

    def initial(self) -> dict[str, Any]:
        return {"email": self.request.GET.get("email", "")[:254]}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        email = canonical_email(body["email"])
        self.enforce_limits(rate_limits.password_forgot_account_limit(email))
        password_change.request_password_reset(email)
        return self.render({"done": True, "email": body["email"]})
