"""The page on which new staff set their password, by a link that works once."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from rest_framework.request import Request
from unfold.widgets import UnfoldAdminPasswordWidget

from admin_ops.admin.permissions import enforce_limits
from saas.accounts.models import OneTimeToken
from saas.accounts.one_time_tokens import OneTimeTokenInvalid, find_one_time_token
from saas.accounts.passwords import password_change
from saas.api import rate_limits
from saas.api.accounts import device_cookie
from saas.errors import DomainError

MAX_TOKEN = 200


class PasswordForm(forms.Form):
    token = forms.CharField(max_length=MAX_TOKEN, required=False, widget=forms.HiddenInput)
    new_password = forms.CharField(
        max_length=4096,
        strip=False,
        help_text="At least 12 characters. A sentence that only you know is best.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password", "autofocus": True}),
    )


def password_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET changes nothing: mail programs follow links before people do."""
    if request.method != "POST":
        return _blank(request, context)
    form = PasswordForm(request.POST)
    try:
        if form.is_valid():
            token, password = form.cleaned_data["token"], form.cleaned_data["new_password"]
            limits = (rate_limits.MAILED_LINK, rate_limits.mailed_link_token_limit(token))
            enforce_limits(Request(request), *limits)
            device_cookie.remember_device(request, password_change.reset_password(token, new_password=password))
            return _shown(request, context, form, done=True)
    except DomainError as refusal:
        form.add_error(None, " ".join(refusal.sentences))
        return _shown(request, context, form, status=refusal.status)
    return _shown(request, context, form, status=422)


def _blank(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Say that a link is over before a password is typed."""
    token = request.GET.get("token", "")[:MAX_TOKEN]
    form = PasswordForm(initial={"token": token})
    try:
        if token:
            find_one_time_token(token, OneTimeToken.Purpose.RESET)
    except OneTimeTokenInvalid as refusal:
        return _shown(request, context, form, over=refusal.detail, status=refusal.status)
    return _shown(request, context, form)


def _shown(
    request: HttpRequest,
    context: dict[str, Any],
    form: PasswordForm,
    *,
    done: bool = False,
    over: str = "",
    status: int = 200,
) -> HttpResponse:
    """``over`` says why there is no form: the link does not work any more."""
    shown = {**context, "title": "Set your password", "form": form, "done": done, "over": over}
    return TemplateResponse(request, "admin_ops/password.html", shown, status=status)
