"""Ending a subscription and taking that back; calling off a planned change; the portal; removing a payment method."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from product.billing.serializers import CancelBody
from product.pages.billing.base import OVERVIEW, BillingAction, BillingFormPage
from product.pages.billing.losses import lost_by_ending
from product.pages.leaving import lead_away
from product.pages.teams.base import NOTHING_ASKED
from saas.api.pages.forms import Field, FormSpec
from saas.billing import payment_methods, scheduled_changes, subscriptions
from saas.billing.models import PaymentMethod
from saas.billing.subscriptions import NotSubscribed
from saas.errors import NotFound

# Stored in English, whatever language they were chosen in.
REASONS = {
    "price": gettext_noop("Too expensive"),
    "features": gettext_noop("Something is missing"),
    "unused": gettext_noop("I do not use it enough"),
    "switched": gettext_noop("I use something else"),
    "quality": gettext_noop("It does not work well"),
    "other": gettext_noop("Another reason"),
}


class _CancelForm(CancelBody):
    """The API's, as a form sends it."""

    when = serializers.ChoiceField(["period_end", "now"])
    why = serializers.ChoiceField(["", *REASONS], required=False, default="")


class EndPage(BillingFormPage):
    """When it ends, what is lost, and why."""

    template = "product/pages/billing/end.html"
    form = FormSpec(
        _CancelForm,
        Field("when", ""),
        Field("why", _("Why do you leave?"), kind="select", required=False,
              options=[("", _("I would rather not say")), *((key, _(text)) for key, text in REASONS.items())]),
        Field("reason", _("Anything that we should know"), kind="textarea", required=False),
    )  # fmt: skip

    def initial(self) -> dict[str, Any]:
        row = subscriptions.current_subscription(self.owner)
        return {"when": "period_end" if row and row.may_run_out else "now"}

    def form_context(self) -> dict[str, Any]:
        row = subscriptions.current_subscription(self.owner)
        if row is None:
            raise NotSubscribed
        return {"subscription": row, "lost": lost_by_ending(self.owner, row)}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        at_period_end = body["when"] == "period_end"
        reason = ": ".join(filter(None, (REASONS.get(body["why"], ""), body["reason"].strip())))[:500]
        row = subscriptions.cancel_subscription(
            self.owner, at_period_end=at_period_end, reason=reason, by=self.known.user
        )
        text = gettext("Your subscription ends with its period.") if row.is_canceling else gettext("It is over.")
        return self.lead_to(OVERVIEW, text=text)


class ResumeAction(BillingAction):
    def post(self, request: HttpRequest, **place: str) -> HttpResponse:
        subscriptions.resume_subscription(self.owner, by=self.known.user)
        return self.lead_to(OVERVIEW, text=gettext("Your subscription goes on."))


class CallOffAction(BillingAction):
    def post(self, request: HttpRequest, **place: str) -> HttpResponse:
        scheduled_changes.call_off_change(self.owner, by=self.known.user)
        return self.lead_to(OVERVIEW, text=gettext("The change is called off."))


class PortalAction(BillingAction):
    """To the provider's page for payment methods, and back."""

    def post(self, request: HttpRequest, **place: str) -> HttpResponse:
        url = payment_methods.portal_url(self.known.user, owner=self.owner)
        return lead_away(request, url, person=self.known.user)


class PaymentMethodPage(BillingFormPage):
    """Remove a payment method, after reading what that means."""

    template = "product/pages/billing/payment_method.html"
    form = NOTHING_ASKED

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        rows = PaymentMethod.objects.for_owner(self.owner).usable()
        method = rows.filter(pk=self.kwargs["payment_method_id"]).first()
        if method is None:
            raise NotFound
        self.method = method
        return None

    def context(self) -> dict[str, Any]:
        renews = subscriptions.current_subscription(self.owner)
        return {**super().context(), "method": self.method, "subscription": renews}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        payment_methods.remove_payment_method(self.method, by=self.known.user)
        return self.lead_to(OVERVIEW, text=gettext("The payment method is removed."))
