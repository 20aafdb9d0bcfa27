"""Billing's pages, of a person and of a team."""

from collections.abc import Callable, Iterator

from django.conf import settings
from django.http.response import HttpResponseBase
from django.urls import URLPattern

from product.pages.base import front_path
from product.pages.billing import base, details, overview, plans, subscription

_PAGES: list[tuple[str, str, Callable[..., HttpResponseBase]]] = [
    (base.OVERVIEW, "", overview.OverviewPage.as_view()),
    (base.PLANS, "/plans", plans.PlansPage.as_view()),
    (base.CHECKOUT, "/checkout", plans.CheckoutPage.as_view()),
    (base.CHANGE, "/change", plans.ChangePage.as_view()),
    (base.CALL_OFF, "/change/cancel", subscription.CallOffAction.as_view()),
    (base.END, "/end", subscription.EndPage.as_view()),
    (base.RESUME, "/resume", subscription.ResumeAction.as_view()),
    (base.PORTAL, "/portal", subscription.PortalAction.as_view()),
    (base.DETAILS, "/details", details.DetailsPage.as_view()),
    (base.INVOICE, "/invoice/<str:invoice_id>", overview.InvoicePage.as_view()),
    ("method", "/payment-methods/<str:payment_method_id>", subscription.PaymentMethodPage.as_view()),
]


def _routes() -> Iterator[URLPattern]:
    for part, address, view in _PAGES:
        yield front_path(f"billing{address}", view, base.route_name(part, of_team=False))
        if settings.TEAMS:
            yield front_path(f"teams/<str:team_id>/billing{address}", view, base.route_name(part, of_team=True))


urlpatterns = list(_routes())
