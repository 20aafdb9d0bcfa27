"""The local provider's billing portal in a browser: buttons of one form, and no script."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from product.billing.pages import billing_page, form_value
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import checkout_page, portal
from saas.billing.providers.local.portal import PortalSession
from saas.errors import DomainError

_ACTS: dict[str, Callable[[PortalSession, HttpRequest], None]] = {
    "change": lambda here, request: portal.change_plan(here, form_value(request, "plan")),
    "cancel": lambda here, request: portal.cancel_subscription(here, form_value(request, "reason")),
    "resume": lambda here, request: portal.resume_subscription(here),
    "add_card": lambda here, request: portal.add_card(here, form_value(request, "card")),
    "use_card": lambda here, request: portal.set_default_card(here, form_value(request, "card_id")),
    "remove_card": lambda here, request: portal.remove_card(here, form_value(request, "card_id")),
}


@billing_page
def portal_page(request: HttpRequest, session_id: str) -> HttpResponse:
    """The subscription, the cards and the invoices of one customer, and what she can do about them."""
    here = portal.get_portal_session(session_id)
    if request.method == "GET":
        return _portal(request, here)
    try:
        if form_value(request, "act") == "preview":
            return _preview(request, here)
        _act(here, request)
    except DomainError as refusal:
        return _portal(request, here, refusal)
    return redirect(request.path, permanent=False)


def _act(here: PortalSession, request: HttpRequest) -> None:
    act = _ACTS.get(form_value(request, "act"))
    if act is None:
        raise ProviderRefused("There is no such button.")
    act(here, request)


def _portal(request: HttpRequest, here: PortalSession, refusal: DomainError | None = None) -> HttpResponse:
    told = {"refused": refusal.detail if refusal else "", "test_cards": checkout_page.TEST_CARDS}
    status = refusal.status if refusal else 200
    return render(request, "billing/portal.html", {**portal.portal_context(here), **told}, status=status)


def _preview(request: HttpRequest, here: PortalSession) -> HttpResponse:
    """Nothing is changed before the price was seen."""
    plan_id = form_value(request, "plan")
    due = portal.amount_due_after_change(here, plan_id)
    plan = next(plan for plan in portal.portal_context(here)["plans"] if plan.pk == plan_id)
    return render(request, "billing/portal_change.html", {**portal.portal_context(here), "new": plan, "due": due})
