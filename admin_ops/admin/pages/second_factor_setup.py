"""The page on which staff set up a required second factor, after the password and before any other page."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from rest_framework.request import Request
from unfold.widgets import UnfoldAdminTextInputWidget

from admin_ops.admin.permissions import enforce_limits, staff_session
from saas.accounts import second_factor
from saas.accounts.sessions.logins import Login
from saas.api import rate_limits
from saas.api.accounts.views import set_session_cookie
from saas.api.pages.errors import with_retry_after
from saas.errors import DomainError

MAX_CODE = 20
TOO_LATE = "This took too long, and the secret is no longer valid. Log in again to begin anew."


class FirstCodeForm(forms.Form):
    first_code = forms.CharField(
        label="Code that the authenticator shows",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "one-time-code"}),
    )


def begin_setup(request: HttpRequest, context: dict[str, Any], login: Login, target: str) -> HttpResponse:
    setup = second_factor.begin_totp_setup(login.user)
    return _page(request, {**context, "setup": setup, "next": target})


def confirm_setup(request: HttpRequest, context: dict[str, Any], target: str) -> HttpResponse:
    """After the right code, show the recovery codes once, with a link to ``target``."""
    session = staff_session(request)
    if session is None or not second_factor.is_enrolment_required(session):
        return HttpResponseRedirect(reverse("admin:login"))
    api_request = Request(request)
    try:
        enforce_limits(api_request, rate_limits.MFA)
        login, codes = second_factor.confirm_totp_setup(session, request.POST.get("first_code", "")[:MAX_CODE])
    except DomainError as refusal:
        is_over = isinstance(refusal, second_factor.SecondFactorNotEnabled)
        sentence = TOO_LATE if is_over else " ".join(refusal.sentences)
        shown = {**context, "next": target, "refused": sentence, "is_over": is_over}
        return with_retry_after(_page(request, shown, status=refusal.status), refusal)
    set_session_cookie(api_request, login)
    return _page(request, {**context, "codes": codes, "next": target})


def _page(request: HttpRequest, shown: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return TemplateResponse(
        request, "admin_ops/second_factor_setup.html", {**shown, "form": FirstCodeForm()}, status=status
    )
