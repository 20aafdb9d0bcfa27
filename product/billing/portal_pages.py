"""The local provider's billing portal in a browser: buttons of one form, and no script."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from product.billing.pages import page, sent
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import checkout_page, portal
from saas.billing.providers.local.portal import Visit
from saas.errors import DomainError

_ACTS: dict[str, Callable[[Visit, HttpRequest], None]] = {
    "change": lambda here, request: portal.change_plan(here, sent(request, "plan")),
    "cancel": lambda here, request: portal.cancel(here, sent(request, "reason")),
    "resume": lambda here, request: portal.resume(here),
    "add_card": lambda here, request: portal.add_card(here, sent(request, "card")),
    "use_card": lambda here, request: portal.use_card(here, sent(request, "card_id")),
    "remove_card": lambda here, request: portal.remove_card(here, sent(request, "card_id")),
}


@page
def show(request: HttpRequest, session_id: str) -> HttpResponse:
    """The subscription, the cards and the invoices of one customer, and what she can do about them."""
    here = portal.visit(session_id)
    if request.method == "GET":
        return _portal(request, here)
    try:
        if sent(request, "act") == "preview":
            return _preview(request, here)
        _act(here, request)
    except DomainError as refusal:
        return _portal(request, here, refusal)
    return redirect(request.path, permanent=False)


def _act(here: Visit, request: HttpRequest) -> None:
    act = _ACTS.get(sent(request, "act"))
    if act is None:
        raise ProviderRefused("There is no such button.")
    act(here, request)


def _portal(request: HttpRequest, here: Visit, refusal: DomainError | None = None) -> HttpResponse:
    told = {"refused": refusal.detail if refusal else "", "test_cards": checkout_page.CARDS}
    status = refusal.status if refusal else 200
    return render(request, "billing/portal.html", {**portal.shown(here), **told}, status=status)


def _preview(request: HttpRequest, here: Visit) -> HttpResponse:
    """Nothing is changed before the price was seen."""
    plan_id = sent(request, "plan")
    due = portal.due_after_change(here, plan_id)
    plan = next(plan for plan in portal.shown(here)["plans"] if plan.pk == plan_id)
    return render(request, "billing/portal_change.html", {**portal.shown(here), "new": plan, "due": due})
