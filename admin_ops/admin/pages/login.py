"""The login page: the API's login as a form."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from rest_framework.request import Request
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from admin_ops.admin.pages import second_factor_setup
from admin_ops.admin.permissions import enforce_limits
from saas.accounts import second_factor
from saas.accounts.models import Audience
from saas.accounts.sessions import logins
from saas.api import rate_limits
from saas.api.accounts.views import set_session_cookie
from saas.api.pages.errors import with_retry_after
from saas.errors import DomainError
from saas.text_normalization import normalize_code

CODE_LENGTH = 6
MAX_CODE = 40
MAX_TOKEN = 200


class LoginForm(forms.Form):
    """Django's template expects the field name ``username``."""

    username = forms.CharField(
        label="E-mail",
        max_length=254,
        widget=UnfoldAdminEmailInputWidget(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    password = forms.CharField(
        max_length=4096, strip=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"})
    )


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code of your authenticator, or a recovery code",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "one-time-code"}),
    )


def login_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The login form; after the right password the form for the second factor, its setup, or the session cookie and a
    redirect. Shares the rate limits of the API's login."""
    if request.method == "POST" and "mfa_token" in request.POST:
        return _second_step(request, context)
    if request.method == "POST" and "first_code" in request.POST:
        return second_factor_setup.confirm_setup(request, context, redirect_target(request))
    form = LoginForm(request.POST if request.method == "POST" else None)
    refused: DomainError | None = None
    try:
        entered = _log_in(request, form) if request.method == "POST" else None
        if isinstance(entered, logins.PendingMfa):
            return _ask_for_code(request, context, entered.mfa_token)
        if entered and second_factor.is_enrolment_required(entered.session):
            return second_factor_setup.begin_setup(request, context, entered, redirect_target(request))
        if entered:
            return HttpResponseRedirect(redirect_target(request))
    except DomainError as refusal:
        form.add_error(None, refusal.detail)
        refused = refusal
    fields = {
        "title": "Log in",
        "username": request.user.get_username(),
        "app_path": request.get_full_path(),
        "next": redirect_target(request),
        "form": form,
    }
    return _answer(request, "admin_ops/login.html", {**context, **fields}, refused)


def redirect_target(request: HttpRequest) -> str:
    """``next`` if it is on this host; else the dashboard."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    is_here = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_here else reverse("admin:index")


def _log_in(request: HttpRequest, form: LoginForm) -> logins.Login | logins.PendingMfa | None:
    api_request = Request(request)
    enforce_limits(api_request, rate_limits.STAFF_LOGIN)
    if not form.is_valid():
        return None
    login = logins.log_in(
        email=form.cleaned_data["username"], password=form.cleaned_data["password"], audience=Audience.STAFF
    )
    if isinstance(login, logins.Login):
        set_session_cookie(api_request, login)
    return login


def _second_step(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """With a code of the authenticator, or a recovery code, which is longer."""
    api_request, token = Request(request), request.POST.get("mfa_token", "")[:MAX_TOKEN]
    typed = request.POST.get("code", "")[:MAX_CODE]
    is_code = len(normalize_code(typed)) <= CODE_LENGTH
    try:
        enforce_limits(api_request, rate_limits.MFA)
        login = second_factor.complete_login(
            token, audience=Audience.STAFF, code=typed if is_code else "", recovery_code="" if is_code else typed
        )
    except DomainError as refusal:
        return _ask_for_code(request, context, token, refused=refusal)
    set_session_cookie(api_request, login)
    return HttpResponseRedirect(redirect_target(request))


def _ask_for_code(
    request: HttpRequest, context: dict[str, Any], mfa_token: str, *, refused: DomainError | None = None
) -> HttpResponse:
    shown = {"mfa_token": mfa_token, "refused": refused.detail if refused else "", "next": redirect_target(request)}
    is_over = isinstance(refused, second_factor.PendingLoginInvalid)
    page = {**context, **shown, "is_over": is_over, "form": CodeForm()}
    return _answer(request, "admin_ops/second_factor.html", page, refused)


def _answer(request: HttpRequest, template: str, shown: dict[str, Any], refused: DomainError | None) -> HttpResponse:
    answer = TemplateResponse(request, template, shown, status=refused.status if refused else 200)
    return with_retry_after(answer, refused) if refused else answer
