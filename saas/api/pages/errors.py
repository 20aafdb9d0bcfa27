"""Errors for people: a browser that asked for a page gets one, a program its problem document.

The path and ``Accept`` decide: an API answers in JSON to everybody, everything else in HTML to those who ask for HTML.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from rest_framework.views import APIView

from saas.api.pages.rendering import render_page
from saas.api.problems import Problem
from saas.errors import DomainError

_PROGRAMS = ("/api/", "/health", "/metrics", "/openapi.json", "/.well-known/")


@dataclass(frozen=True)
class ErrorText:
    heading: str
    text: str


_TEXTS = {
    400: ErrorText(_("This request could not be read"), _("Go back and try again.")),
    403: ErrorText(_("You may not do this"), _("Go back and reload the page, then try again.")),
    404: ErrorText(_("There is no such page"), _("The address may be mistyped, or what was here has gone.")),
    405: ErrorText(_("This does not work here"), _("Go back and try again.")),
    413: ErrorText(_("This is too large"), _("Send less at once.")),
    429: ErrorText(_("Too many requests"), _("Wait a little, then try again.")),
    500: ErrorText(_("Something went wrong on our side"), _("We have been told. Try again in a moment.")),
    503: ErrorText(_("This is away for a moment"), _("Nothing was changed. Try again in a moment.")),
}
_CSRF = ErrorText(
    _("This form is no longer valid"),
    _("It was open for long, or cookies are off. Go back, reload the page and try again."),
)


class PageErrorMiddleware:
    """Answer a browser with a page where a program gets a problem document."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not isinstance(response, Problem) or is_for_programs(request):
            return response
        page = error_page(request, response) if accepts_html(request) else response
        page.headers["Vary"] = ", ".join(filter(None, [page.headers.get("Vary"), "Accept"]))
        return page


def is_for_programs(request: HttpRequest) -> bool:
    """Whether the address belongs to an API, whatever the caller would like to read."""
    view: Any = request.resolver_match.func if request.resolver_match else None
    return request.path_info.startswith(_PROGRAMS) or issubclass(getattr(view, "cls", object), APIView)


def accepts_html(request: HttpRequest) -> bool:
    """Whether HTML is asked for by name, as browsers do, and not less than JSON."""
    if "text/html" not in request.headers.get("Accept", ""):
        return False
    return request.get_preferred_type(["text/html", "application/json"]) == "text/html"


def error_page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The page that says what ``problem`` says, without asking the database who is there."""
    text = _CSRF if problem.code == "csrf_failed" else _TEXTS.get(problem.status_code)
    context = {
        "heading": gettext(text.heading if text else problem.title),
        "text": gettext(text.text) if text else "",
        "status": problem.status_code,
        "request_id": problem.request_id,
        "is_error": True,
    }
    page = render_page(request, "pages/error.html", context, status=problem.status_code)
    for name in ("Retry-After", "Allow"):
        if name in problem.headers:
            page.headers[name] = problem.headers[name]
    return page


def with_retry_after(answer: HttpResponse, refusal: DomainError) -> HttpResponse:
    """Say in the answer when the refusal ends, if it does."""
    if refusal.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return answer
