"""The local payment provider's checkout and portal: forms without scripts, routed only where that provider is chosen."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from product.billing.pages import MAX_FIELD, billing_page
from saas.billing.models import Checkout
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import checkout_page, portal
from saas.billing.providers.local.portal import PortalSession
from saas.errors import DomainError

_PORTAL_ACTIONS: dict[str, Callable[[PortalSession, HttpRequest], None]] = {
    "change": lambda session, request: portal.change_plan(session, _form_value(request, "plan")),
    "cancel": lambda session, request: portal.cancel_subscription(session, _form_value(request, "reason")),
    "resume": lambda session, request: portal.resume_subscription(session),
    "add_card": lambda session, request: portal.add_card(session, _form_value(request, "card")),
    "use_card": lambda session, request: portal.set_default_card(session, _form_value(request, "card_id")),
    "remove_card": lambda session, request: portal.remove_card(session, _form_value(request, "card_id")),
}


def _form_value(request: HttpRequest, name: str) -> str:
    return str(request.POST.get(name, ""))[:MAX_FIELD].replace("\x00", "").strip()


@billing_page
def hosted_checkout(request: HttpRequest, session_id: str) -> HttpResponse:
    """What is bought, test cards to pay with, and a button to leave."""
    row = checkout_page.get_checkout(session_id)
    if request.method == "GET":
        return _render_checkout(request, row)
    card = _form_value(request, "card")
    try:
        if _form_value(request, "act") == "leave":
            checkout_page.abandon_checkout(row)
        else:
            checkout_page.pay_checkout(row, last4=card)
    except DomainError as refusal:
        return _render_checkout(request, row, refusal)
    return redirect(request.path, permanent=False)


def _render_checkout(request: HttpRequest, row: Checkout, refusal: DomainError | None = None) -> HttpResponse:
    session = checkout_page.get_session(row).data
    where = f"success?checkout_id={row.pk}" if session["status"] == "complete" else "cancel"
    context = {
        "plan": row.plan,
        "features": [name.replace("-", " ").capitalize() for name in row.plan.features],
        "email": row.customer.email,
        "session": session,
        "trial_ends_at": checkout_page.session_trial_end(session),
        "cards": checkout_page.TEST_CARDS,
        "chosen": _form_value(request, "card") or "4242",
        "return_url": f"{settings.FRONTEND_BASE_URL}/billing/{where}",
        "refused": refusal.detail if refusal else "",
    }
    return render(request, "billing/checkout.html", context, status=refusal.status if refusal else 200)


@billing_page
def hosted_portal(request: HttpRequest, session_id: str) -> HttpResponse:
    """The subscription, cards and invoices of one customer, and what they can do about them."""
    session = portal.get_portal_session(session_id)
    if request.method == "GET":
        return _render_portal(request, session)
    name = _form_value(request, "act")
    try:
        if name == "preview":
            return _render_plan_change(request, session)
        if name not in _PORTAL_ACTIONS:
            raise ProviderRefused("There is no such button.")
        _PORTAL_ACTIONS[name](session, request)
    except DomainError as refusal:
        return _render_portal(request, session, refusal)
    return redirect(request.path, permanent=False)


def _render_portal(request: HttpRequest, session: PortalSession, refusal: DomainError | None = None) -> HttpResponse:
    context = {
        **portal.portal_context(session),
        "refused": refusal.detail if refusal else "",
        "test_cards": checkout_page.TEST_CARDS,
    }
    return render(request, "billing/portal.html", context, status=refusal.status if refusal else 200)


def _render_plan_change(request: HttpRequest, session: PortalSession) -> HttpResponse:
    """What another plan costs, before anything is changed."""
    plan_id = _form_value(request, "plan")
    due = portal.amount_due_after_change(session, plan_id)
    context = portal.portal_context(session)
    plan = next(plan for plan in context["plans"] if plan.pk == plan_id)
    return render(request, "billing/portal_change.html", {**context, "new": plan, "due": due})
