"""Serve the pages behind mailed links: forms without scripts. A separate front end (``FRONTEND_BASE_URL``) replaces them.

GET changes nothing: mail programs follow links before people do.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from rest_framework.request import Request

from saas.accounts import email_verification
from saas.accounts.email_addresses import canonical_email
from saas.accounts.one_time_tokens import OneTimeTokenInvalid
from saas.accounts.passwords import password_change
from saas.accounts.privacy import account_deletion
from saas.api import rate_limits
from saas.api.accounts import device_cookie
from saas.errors import DomainError

MAX_FIELD = 500


def _page(
    template: str, submit: Callable[[HttpRequest], object], preview: Callable[[str], object] = lambda token: None
) -> Callable[[HttpRequest], HttpResponse]:
    """Build the view of a form that runs ``submit`` on POST and shows the sentences of its refusal, if any.

    The template gets ``preview`` (made from the link's token, on GET) and, after a POST that succeeded, ``outcome``.
    """

    @never_cache
    @require_http_methods(["GET", "POST"])
    def view(request: HttpRequest) -> HttpResponse:
        shown: dict[str, Any] = {"token": request.GET.get("token", "")[:MAX_FIELD]}
        try:
            if request.method != "POST":
                return render(request, template, {**shown, "preview": preview(shown["token"])})
            outcome = submit(request)
        except DomainError as refusal:
            return _refused(request, template, shown, refusal)
        return render(request, template, {"done": True, "outcome": outcome})

    return view


def _refused(request: HttpRequest, template: str, shown: dict[str, Any], refusal: DomainError) -> HttpResponse:
    sentences = [sentence for field in (refusal.errors or {}).values() for sentence in field] or [refusal.detail]
    is_over = isinstance(refusal, OneTimeTokenInvalid)  # sending the form again would not help
    response = render(request, template, {**shown, "refused": sentences, "over": is_over}, status=refusal.status)
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _form_field(request: HttpRequest, name: str) -> str:
    return str(request.POST.get(name, ""))[:MAX_FIELD].replace("\x00", "")


def _enforce_limit(request: HttpRequest, limit: rate_limits.RateLimit) -> None:
    if usage := rate_limits.count_request(limit, Request(request)):
        rate_limits.require_within_limit(usage)


def _mailed_token(request: HttpRequest) -> str:
    token = _form_field(request, "token")
    _enforce_limit(request, rate_limits.MAILED_LINK)
    _enforce_limit(request, rate_limits.mailed_link_token_limit(token))
    return token


def _verify(request: HttpRequest) -> str:
    """Run what the pressed button stands for; return the outcome for the page."""
    token = _mailed_token(request)
    if _form_field(request, "answer") == "not-mine":
        return "removed" if email_verification.report_unrecognized(token) else "canceled"
    email_verification.verify_email(token)
    return "confirmed"


def _reset(request: HttpRequest) -> None:
    user = password_change.reset_password(_mailed_token(request), new_password=_form_field(request, "new_password"))
    device_cookie.remember_device(request, user)


def _forgot(request: HttpRequest) -> None:
    email = canonical_email(_form_field(request, "email"))
    _enforce_limit(request, rate_limits.PASSWORD_FORGOT)
    _enforce_limit(request, rate_limits.password_forgot_account_limit(email))
    password_change.request_password_reset(email)


verify_page = _page("pages/verify.html", _verify, email_verification.preview_verification)
reset_page = _page("pages/reset.html", _reset)
keep_page = _page("pages/keep.html", lambda request: account_deletion.cancel_deletion(_mailed_token(request)))
forgot_page = _page("pages/forgot.html", _forgot)
