"""The impersonated view: open it with a code of Admin ops, leave it, and what holds for every page in it.

A page in the view is only read, and each request is one audit event: without the entry there is no page.
"""

from collections.abc import Callable

from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from rest_framework.request import Request

from product.pages.leaving import lead_away
from product.pages.visitors import find_visitor
from saas import request_context
from saas.accounts.models import Impersonation
from saas.accounts.staff import impersonation_views, impersonations
from saas.api.accounts.impersonated_view_cookie import clear_view_cookie, set_view_cookie
from saas.api.pages.rendering import render_page
from saas.api.problems import CODES_AND_TITLES, Problem
from saas.api.rate_limits import MINUTE, RateLimit, by_address, count_request, require_within_limit
from saas.errors import DomainError

OPENINGS = RateLimit("impersonated-view", 20, MINUTE, by_address)
MAX_CODE = 100
RETRY_SECONDS = 5


@csrf_exempt  # the form stands on the pages of Admin ops, another origin; the code is the proof (decision 150)
@require_POST
def open_view(request: HttpRequest) -> HttpResponse:
    """Exchange the code for the cookie, and lead to the customer's account.

    By a page, not by a redirect: a Strict cookie does not go along with what another site began.
    """
    try:
        if usage := count_request(OPENINGS, Request(request)):
            require_within_limit(usage)
        row, key = impersonation_views.exchange_view_code(str(request.POST.get("code", ""))[:MAX_CODE])
    except DomainError as refusal:
        shown = {"heading": refusal.title, "status": refusal.status, "is_error": True}
        return render_page(request, "pages/error.html", shown, status=refusal.status)
    answer = lead_away(request, reverse("account"))
    set_view_cookie(answer, key, seconds=impersonation_views.seconds_left(row, timezone.now()))
    return answer


@require_POST
def leave_view(request: HttpRequest) -> HttpResponse:
    """End the impersonation and forget its cookie; the customer's own session is as it was."""
    visitor = find_visitor(request)
    if visitor and visitor.impersonation and visitor.impersonation.staff_session.user:
        impersonations.end_impersonation(visitor.impersonation, by=visitor.impersonation.staff_session.user)
    answer = HttpResponseRedirect("/")
    clear_view_cookie(answer)
    return answer


def audited(
    impersonation: Impersonation, request: HttpRequest, view: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Return what ``view`` answers, and record the request; 503, and nothing done, where it cannot be recorded."""
    here = request_context.current()._replace(impersonator=impersonation.staff_session.user_id or "")
    try:
        with transaction.atomic(), request_context.use_context(here):
            answer = view()
            match = request.resolver_match
            impersonations.record_request(
                impersonation,
                method=request.method or "",
                route=match.route if match else "",
                status=answer.status_code,
            )
            return answer
    except DatabaseError:
        code, title = CODES_AND_TITLES[503]
        return Problem(503, code=code, title=title, headers={"Retry-After": str(RETRY_SECONDS)})
