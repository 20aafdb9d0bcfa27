"""Where a payment page and a portal lead back to when there is no front end of one's own.

These pages run no script and grant nothing: what was paid takes effect by the provider's events, or by asking it.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from rest_framework.request import Request

from saas.api.pages.rendering import render_page
from saas.api.rate_limits import MINUTE, RateLimit, by_address, count_request, require_within_limit
from saas.billing import checkouts
from saas.billing.models import Checkout
from saas.errors import DomainError, NotFound

PAGES = RateLimit("billing-page", 120, MINUTE, by_address)
MAX_FIELD = 500

View = Callable[..., HttpResponse]


def billing_page(view: View) -> View:
    """Limit the page's requests, and show ``NotFound`` and every other refusal as a page."""

    @never_cache
    @require_http_methods(["GET", "POST"])
    def guarded(request: HttpRequest, **path: str) -> HttpResponse:
        try:
            if usage := count_request(PAGES, Request(request)):
                require_within_limit(usage)
            return view(request, **path)
        except NotFound:
            return render_page(request, "billing/not_there.html", status=404)
        except DomainError as refusal:
            return render_page(request, "billing/refused.html", {"refused": refusal.detail}, status=refusal.status)

    return guarded


@billing_page
def checkout_success(request: HttpRequest) -> HttpResponse:
    """Ask the provider, so that a customer who has paid never reads that they have not.

    The checkout's id cannot be guessed, and reveals no more than the name of a plan and the id of a team.
    """
    row = _find_checkout(request)
    if row:
        row = checkouts.reconcile_checkout(row)
    return render_page(request, "billing/success.html", {"checkout": row})


def _find_checkout(request: HttpRequest) -> Checkout | None:
    wanted = str(request.GET.get("checkout_id", ""))[:MAX_FIELD]
    return Checkout.objects.select_related("plan", "customer").filter(pk=wanted).first()


@require_GET
@billing_page
def checkout_canceled(request: HttpRequest) -> HttpResponse:
    """Lead back to the plans of who was to pay: the team, or the person."""
    return render_page(request, "billing/canceled.html", {"checkout": _find_checkout(request)})
