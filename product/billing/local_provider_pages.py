"""The local payment provider's checkout and portal: forms without scripts, routed only where that provider is chosen."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from product.billing.pages import MAX_FIELD, billing_page
from product.pages.billing.charges import charge_of
from saas.api.pages.rendering import render_page
from saas.billing.catalogue import limits_and_features
from saas.billing.models import Checkout, LocalObject
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import checkout_page, invoice_page, portal
from saas.billing.providers.local.portal import PortalSession
from saas.errors import DomainError
from saas.money import Money

_PORTAL_ACTIONS: dict[str, Callable[[PortalSession, HttpRequest], None]] = {
    "change": lambda session, request: portal.change_plan(session, *_wanted(request)),
    "code": lambda session, request: portal.enter_code(session, _form_value(request, "code")),
    "cancel": lambda session, request: portal.cancel_subscription(session, _form_value(request, "reason")),
    "resume": lambda session, request: portal.resume_subscription(session),
    "add_card": lambda session, request: portal.add_card(session, _form_value(request, "card")),
    "use_card": lambda session, request: portal.set_default_card(session, _form_value(request, "card_id")),
    "remove_card": lambda session, request: portal.remove_card(session, _form_value(request, "card_id")),
}


def _wanted(request: HttpRequest) -> tuple[str, str]:
    return _form_value(request, "price"), _form_value(request, "quantity")


def _form_value(request: HttpRequest, name: str) -> str:
    return str(request.POST.get(name, ""))[:MAX_FIELD].replace("\x00", "").strip()


@billing_page
def hosted_checkout(request: HttpRequest, session_id: str) -> HttpResponse:
    """What is bought, test cards to pay with, and a button to leave."""
    row = checkout_page.get_checkout(session_id)
    if request.method == "GET":
        return _render_checkout(request, row)
    try:
        _CHECKOUT_ACTIONS.get(_form_value(request, "act"), _pay)(row, request)
    except DomainError as refusal:
        return _render_checkout(request, row, refusal)
    return redirect(request.path, permanent=False)


def _pay(row: Checkout, request: HttpRequest) -> None:
    checkout_page.pay_checkout(row, last4=_form_value(request, "card"))


_CHECKOUT_ACTIONS: dict[str, Callable[[Checkout, HttpRequest], None]] = {
    "pay": _pay,
    "confirm": lambda row, request: checkout_page.pay_checkout(
        row, last4=_form_value(request, "card"), is_confirmed=True
    ),
    "deny": lambda row, request: checkout_page.refuse_confirmation(),
    "code": lambda row, request: checkout_page.enter_code(row, _form_value(request, "code")),
    "leave": lambda row, request: checkout_page.abandon_checkout(row),
}


def _render_checkout(request: HttpRequest, row: Checkout, refusal: DomainError | None = None) -> HttpResponse:
    session = checkout_page.get_session(row).data
    where = "success" if session["status"] == "complete" else "cancel"
    context = {
        "plan": row.plan,
        "features": [limits_and_features.feature_label(key) for key in row.plan.features],
        "email": row.customer.email,
        "session": session,
        "offer": checkout_page.summarize_checkout(session),
        **_card_choice(request, refusal),
        "trial_ends_at": checkout_page.session_trial_end(session),
        "return_url": f"{settings.FRONTEND_BASE_URL}/billing/{where}?checkout_id={row.pk}",
    }
    return render_page(request, "billing/checkout.html", context, status=refusal.status if refusal else 200)


@billing_page
def hosted_invoice(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """What was charged, and paying what is open."""
    row = invoice_page.get_invoice(invoice_id)
    if request.method == "GET":
        return _render_invoice(request, row)
    act, last4 = _form_value(request, "act"), _form_value(request, "card")
    try:
        if act == "deny":
            checkout_page.refuse_confirmation()
        invoice_page.pay_invoice(row, last4=last4, is_confirmed=act == "confirm")
    except DomainError as refusal:
        return _render_invoice(request, row, refusal)
    return redirect(request.path, permanent=False)


def _render_invoice(request: HttpRequest, row: LocalObject, refusal: DomainError | None = None) -> HttpResponse:
    context = {
        **_card_choice(request, refusal),
        "invoice": invoice_page.describe_invoice(row),
        "overview": f"{settings.FRONTEND_BASE_URL}{invoice_page.overview_path(row)}",
    }
    return render_page(request, "billing/invoice.html", context, status=refusal.status if refusal else 200)


def _card_choice(request: HttpRequest, refusal: DomainError | None) -> dict[str, Any]:
    """What the form with the test cards shows."""
    return {
        "cards": checkout_page.TEST_CARDS,
        "chosen": _form_value(request, "card") or "4242",
        "confirming": isinstance(refusal, checkout_page.ConfirmationRequired),
        "refused": refusal.sentences[0] if refusal else "",  # in English: the template translates it
    }


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
        **_portal_context(session),
        "refused": refusal.sentences[0] if refusal else "",  # in English: the template translates it
        "test_cards": checkout_page.TEST_CARDS,
    }
    return render_page(request, "billing/portal.html", context, status=refusal.status if refusal else 200)


def _portal_context(session: PortalSession) -> dict[str, Any]:
    """With what each price costs."""
    context = portal.portal_context(session)
    if subscription := context["subscription"]:
        subscription["charge"] = charge_of(subscription["price"], subscription["quantity"], "")
    return {**context, "offers": [(price, charge_of(price, 1, "")) for price in context["offers"]]}


def _render_plan_change(request: HttpRequest, session: PortalSession) -> HttpResponse:
    """What another plan, interval or number of seats costs, before anything is changed."""
    change, preview = portal.preview_change(session, *_wanted(request))
    context = {
        **_portal_context(session),
        "change": change,
        "charge": charge_of(change.price, change.quantity, ""),
        "due": Money(preview.due_cents, preview.currency),
        "due_at": preview.next_charge_at,
    }
    return render_page(request, "billing/portal_change.html", context)
