"""Pages of paying: the local provider's checkout and portal, and where a payment page leads back to without a front end
of one's own.

No script runs on them. They grant nothing: what was paid takes effect by the provider's events, or by asking it.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from rest_framework.request import Request

from saas.accounts.models import User
from saas.api.rate_limits import MINUTE, RateLimit, by_address, count_request, require_within_limit
from saas.billing import checkouts, clock, subscriptions
from saas.billing.models import Checkout
from saas.billing.providers.local import checkout_page
from saas.errors import DomainError, NotFound

PAGES = RateLimit("billing-page", 120, MINUTE, by_address)
MAX_FIELD = 500

View = Callable[..., HttpResponse]


def billing_page(view: View) -> View:
    """What is not there is a page, too, and so is a refusal that the view has no place for."""

    @never_cache
    @require_http_methods(["GET", "POST"])
    def guarded(request: HttpRequest, **path: str) -> HttpResponse:
        try:
            if usage := count_request(PAGES, Request(request)):
                require_within_limit(usage)
            return view(request, **path)
        except NotFound:
            return render(request, "billing/not_there.html", status=404)
        except DomainError as refusal:
            return render(request, "billing/refused.html", {"refused": refusal.detail}, status=refusal.status)

    return guarded


def form_value(request: HttpRequest, name: str) -> str:
    return str(request.POST.get(name, ""))[:MAX_FIELD].replace("\x00", "").strip()


@billing_page
def checkout_page_view(request: HttpRequest, session_id: str) -> HttpResponse:
    """What is bought, cards to try, and a way out."""
    row = checkout_page.get_checkout(session_id)
    if request.method == "GET":
        return _checkout_page(request, row)
    try:
        _act(row, request)
    except DomainError as refusal:
        return _checkout_page(request, row, refusal)
    return redirect(request.path, permanent=False)


def _act(row: Checkout, request: HttpRequest) -> None:
    """Do what the pressed button says."""
    card = form_value(request, "card")
    if form_value(request, "act") == "leave":
        checkout_page.abandon_checkout(row)
    elif card in checkout_page.TEST_CARDS:
        checkout_page.pay_checkout(row, last4=card)
    else:
        raise checkout_page.ChooseACard


def _checkout_page(request: HttpRequest, row: Checkout, refusal: DomainError | None = None) -> HttpResponse:
    session = checkout_page.get_session(row).data
    where = f"success?checkout_id={row.pk}" if session["status"] == "complete" else "cancel"
    shown = {
        "plan": row.plan,
        "features": [name.replace("-", " ").capitalize() for name in row.plan.features],
        "email": row.customer.email,
        "session": session,
        "trial_ends_at": checkout_page.session_trial_end(session),
        "cards": checkout_page.TEST_CARDS,
        "chosen": form_value(request, "card") or "4242",
        "return_url": f"{settings.FRONTEND_BASE_URL}/billing/{where}",
        "refused": refusal.detail if refusal else "",
    }
    return render(request, "billing/checkout.html", shown, status=refusal.status if refusal else 200)


@billing_page
def checkout_success(request: HttpRequest) -> HttpResponse:
    """Where a payment page leads back to. It asks the provider: whoever has paid never reads that she has not.

    The checkout's id is not to be guessed, and tells no more than the name of a plan.
    """
    wanted = str(request.GET.get("checkout_id", ""))[:MAX_FIELD]
    row = Checkout.objects.select_related("plan", "customer").filter(pk=wanted).first()
    if row:
        row = checkouts.reconcile_checkout(row)
    return render(request, "billing/success.html", {"checkout": row})


@require_GET
def checkout_canceled(request: HttpRequest) -> HttpResponse:
    return render(request, "billing/canceled.html")


@billing_page
def billing_overview(request: HttpRequest) -> HttpResponse:
    """Where the portal leads back to: what somebody has who is logged in with the cookie."""
    shown: dict[str, Any] = {"is_known": isinstance(request.user, User)}
    if isinstance(request.user, User):
        row = subscriptions.refresh_subscription(request.user)
        shown |= {"subscription": row, "has_access": bool(row and row.grants_access(clock.now()))}
    return render(request, "billing/overview.html", shown)
