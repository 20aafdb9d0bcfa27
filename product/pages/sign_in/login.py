"""Log in by password, the second step, and log out."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from product.pages.base import FormPage, Page, redirect_to_login
from product.pages.next_pages import safe_next
from product.pages.provider_links import provider_links
from product.pages.sign_in.providers import refusal_of
from saas.accounts import second_factor
from saas.accounts.models import Audience
from saas.accounts.second_factor import PendingLoginInvalid
from saas.accounts.sessions import logins
from saas.accounts.sessions.session_store import SessionStore
from saas.api import rate_limits
from saas.api.accounts.pending_login_cookie import PENDING_LOGIN
from saas.api.accounts.serializers import LoginBody, SecondFactorBody
from saas.api.accounts.views import replace_session_cookie
from saas.api.pages.errors import with_retry_after
from saas.api.pages.forms import Field, Form, FormSpec
from saas.errors import DomainError


class SignInPage(FormPage):
    """A page for people who are not logged in; the others go on to where they wanted to."""

    keeps_answers = False  # an answer sets cookies, which are kept nowhere; logging in twice does no harm
    default_next = "account"

    def admit(self) -> HttpResponseBase | None:
        return HttpResponseRedirect(self.next_url) if self.visitor else super().admit()

    @property
    def wanted(self) -> str:
        """The page that was asked for before the login; empty without one."""
        return safe_next(str(self.request.POST.get("next") or self.request.GET.get("next", "")))

    @property
    def next_url(self) -> str:
        return self.wanted or reverse(self.default_next)

    def context(self) -> dict[str, Any]:
        return {
            "next": self.wanted,
            "next_query": f"?{urlencode({'next': self.wanted})}" if self.wanted else "",
            "providers": provider_links(self.wanted),
        }

    def go_on(self, login: logins.Login | logins.PendingMfa) -> HttpResponse:
        """To the page that was wanted, or to the second step."""
        if isinstance(login, logins.PendingMfa):
            answer = HttpResponseRedirect(reverse("login-code-page") + f"?{urlencode({'next': self.next_url})}")
            PENDING_LOGIN.set(answer, login.mfa_token)
            return answer
        replace_session_cookie(Request(self.request), login)
        answer = HttpResponseRedirect(self.next_url)
        if PENDING_LOGIN.read(self.request):
            PENDING_LOGIN.clear(answer)
        return answer


class LoginPage(SignInPage):
    template = "product/pages/login.html"
    limits = (rate_limits.LOGIN,)
    form = FormSpec(
        LoginBody,
        Field("email", _("E-mail address"), kind="email", autocomplete="username", maxlength=254),
        Field("password", _("Password"), kind="password", autocomplete="current-password"),
    )

    def initial(self) -> dict[str, Any]:
        return {"email": self.request.GET.get("email", "")[:254]}

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        form = self.form.blank(**self.initial())
        if refusal := refusal_of(request.GET.get("error", "")):
            form.refuse(refusal)
        return self.show(form)

    def show_refusal(self, form: Form, refusal: DomainError) -> HttpResponse:
        form.refuse(refusal)
        if isinstance(refusal, logins.InvalidCredentials):
            form.sentences.append(gettext("Check the address and the password; capital letters count."))
        return with_retry_after(self.show(form, status=refusal.status), refusal)

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        return self.go_on(logins.log_in(**body, audience=Audience.CUSTOMER))


class LoginCodePage(SignInPage):
    """The second step: a code of the authenticator, or one of the recovery codes (``?use=recovery``)."""

    template = "product/pages/login_code.html"
    limits = (rate_limits.MFA,)
    form = FormSpec(
        SecondFactorBody,
        Field("code", _("Code"), autocomplete="one-time-code", inputmode="numeric", placeholder="123 456"),
    )
    recovery_form = FormSpec(
        SecondFactorBody,
        Field("recovery_code", _("Recovery code"), autocomplete="off", placeholder="xxxx-xxxx-xxxx-xxxx"),
    )

    def admit(self) -> HttpResponseBase | None:
        self.token = PENDING_LOGIN.read(self.request)
        if self.request.GET.get("use") == "recovery":
            self.form = self.recovery_form  # type: ignore[misc]
        if not self.token:
            return super().admit() or redirect_to_login(self.wanted)
        return FormPage.admit(self)  # one who is logged in renews the login, at a provider and by the code

    def context(self) -> dict[str, Any]:
        return {**super().context(), "uses_recovery": self.form is self.recovery_form}

    def values_besides(self) -> dict[str, Any]:
        return {"mfa_token": self.token}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        try:
            login = second_factor.complete_login(**body, audience=Audience.CUSTOMER)
        except PendingLoginInvalid as refusal:
            messages.error(self.request, gettext(refusal.detail))
            answer = redirect_to_login(self.wanted)
            PENDING_LOGIN.clear(answer)
            return answer
        return self.go_on(login)


class LogoutPage(Page):
    """GET only asks: a link must not log anybody out."""

    template = "product/pages/logout.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.visitor:
            logins.log_out(self.visitor.session)
            request.session = SessionStore()
            messages.success(request, gettext("You are logged out."))
        return HttpResponseRedirect("/")
