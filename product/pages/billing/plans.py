"""Choosing a plan, buying it, and changing to another after seeing what that costs."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from product.billing.price_table import Offer, price_table, shown_offer
from product.billing.serializers import ChangeBody, CheckoutBody
from product.pages.billing.base import CHANGE, CHECKOUT, OVERVIEW, PLANS, BillingFormPage, BillingPage
from product.pages.billing.charges import charge_of
from product.pages.billing.losses import lost_by_changing
from product.pages.leaving import lead_away
from saas.api import rate_limits
from saas.api.pages.forms import Field, Form, FormSpec
from saas.billing import checkouts, scheduled_changes, subscriptions
from saas.billing.models import Checkout, Interval
from saas.billing.models.catalogue import LARGEST_QUANTITY
from saas.billing.providers import InvoicePreview
from saas.billing.subscriptions import ChangePreview
from saas.money import Money

MAX_QUERY = 40
_SEATS = Field("quantity", _("Seats"), kind="number", inputmode="numeric")
_HIDDEN = tuple(Field(name, "", kind="hidden") for name in ("plan_id", "interval", "currency"))


class PlansPage(BillingPage):
    """The price list, in the currency and by the interval of the subscription, unless others are asked for."""

    template = "product/pages/billing/plans.html"

    def context(self) -> dict[str, Any]:
        row = subscriptions.current_subscription(self.owner)
        price = row.find_price() if row else None
        paid = price.offered_interval if price else ""
        currency = (row.currency if row else "") or self._asked("currency")
        table = price_table(interval=self._asked("interval") or paid, currency=currency)
        return {
            **super().context(),
            "subscription": row,
            "table": table,
            "is_paid_so": table.interval == paid,
            "choose": self.to(CHANGE if row else CHECKOUT),
            "intervals": [(name, self._address(interval=name, currency=table.currency)) for name in table.intervals],
            "currencies": []
            if row
            else [(name, self._address(interval=table.interval, currency=name)) for name in table.currencies],
        }

    def _asked(self, name: str) -> str:
        return self.request.GET.get(name, "")[:MAX_QUERY]

    def _address(self, **query: str) -> str:
        return "?" + urlencode(query)


class _SeatsField(serializers.IntegerField):
    """A number that may be left out."""

    def __init__(self) -> None:
        super().__init__(min_value=1, max_value=LARGEST_QUANTITY, required=False, default=None)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(serializers.empty if data == "" else data)


class _CheckoutForm(CheckoutBody):
    """The API's, as a form sends it: the team stands in the address."""

    team_id = None  # type: ignore[assignment]
    quantity = _SeatsField()  # type: ignore[assignment]


class CheckoutPage(BillingFormPage):
    """What is bought, how many seats, and a promotion code; from here to the provider's page."""

    template = "product/pages/billing/checkout.html"
    limits = (rate_limits.CHECKOUT,)
    impersonated_reads = False
    offer: Offer

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        sent = self.request.POST if self.request.method == "POST" else self.request.GET
        plan = str(sent.get("plan_id") or sent.get("plan", ""))[:MAX_QUERY]
        wanted = {name: str(sent.get(name, ""))[:MAX_QUERY] for name in ("interval", "currency")}
        if subscriptions.current_subscription(self.owner):
            query = {"plan": plan, "interval": wanted["interval"]}
            return HttpResponseRedirect(f"{self.to(CHANGE)}?{urlencode(query)}")
        offer = shown_offer(plan, **wanted)
        if offer is None:
            return self.lead_to(PLANS)
        self.offer = offer
        seats = (_SEATS,) if offer.is_per_unit else ()
        code = Field("promotion_code", _("Promotion code"), required=False, autocomplete="off")
        self.form = FormSpec(_CheckoutForm, *_HIDDEN, *seats, code)  # type: ignore[misc]
        return None

    def initial(self) -> dict[str, Any]:
        offer = self.offer
        chosen = {"plan_id": offer.plan.pk, "interval": offer.interval, "currency": offer.price.currency}
        return {**chosen, "quantity": max(self.seats, offer.included_quantity), "promotion_code": ""}

    def context(self) -> dict[str, Any]:
        days = checkouts.first_trial_days(self.offer.plan, self.owner) if self.offer.price.minor else 0
        return {**super().context(), "offer": self.offer, "trial_days": days}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        row = checkouts.start_checkout(self.known.user, owner=self.owner, seats=self.seats, on_page=True, **body)
        if row.status == Checkout.Status.PENDING:
            return lead_away(self.request, row.url, person=self.known.user)
        return self.lead_to(OVERVIEW, text=gettext("Your subscription to {plan} is active.").format(plan=row.plan.name))


class _ChangeForm(ChangeBody):
    """The API's, as a form sends it: the team stands in the address."""

    team_id = None  # type: ignore[assignment]
    quantity = _SeatsField()  # type: ignore[assignment]
    interval = serializers.ChoiceField(Interval.choices, required=False, allow_blank=True, default="")


class ChangePage(BillingFormPage):
    """What the change costs, now and at the period's end, to the smallest unit. What is confirmed is what was shown."""

    template = "product/pages/billing/change.html"
    refusals_lead_to = PLANS
    impersonated_reads = False
    shown: dict[str, Any]
    form = FormSpec(
        _ChangeForm,
        *(Field(name, "", kind="hidden") for name in ("plan_id", "interval", "quantity", "prorated_at")),
        Field("when", ""),
    )

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        sent = {name: request.GET.get(name, "")[:MAX_QUERY] for name in ("interval", "quantity")}
        sent = {name: value for name, value in sent.items() if value}
        form = FormSpec(_ChangeForm, *(Field(name, "") for name in ("plan_id", "interval", "quantity"))).filled(
            {"plan_id": request.GET.get("plan", "")[:MAX_QUERY], **sent}
        )
        return self.show(self.form.blank(**form.cleaned()))

    def show(self, form: Form, *, status: int = 200) -> HttpResponse:
        before = subscriptions.current_subscription(self.owner)
        if before is None:
            return self.lead_to(PLANS)
        preview = subscriptions.preview_change(
            self.owner,
            plan_id=str(form.values.get("plan_id", "")),
            interval=str(form.values.get("interval", "")),
            quantity=int(form.values.get("quantity") or 0) or None,
            seats=self.seats,
        )
        form.values["prorated_at"] = preview.prorated_at.isoformat()
        form.values["interval"] = preview.price.offered_interval
        form.values["quantity"] = preview.quantity if preview.price.is_per_unit else ""
        self.shown = {
            "before": before,
            "preview": preview,
            "sums": sum_lines(preview.invoice),
            "next_period_start": scheduled_changes.next_period_start(before),
            "charge": charge_of(preview.price, preview.quantity, before.currency),
            "lost": lost_by_changing(self.owner, before, preview),
        }
        return super().show(form, status=status)

    def form_context(self) -> dict[str, Any]:
        preview: ChangePreview = self.shown["preview"]
        return {**self.shown, "least_seats": max(self.seats, preview.price.included_quantity)}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        if body.pop("when") == "period_end":
            del body["prorated_at"]  # nothing is prorated at a period's end
            scheduled_changes.schedule_change(self.owner, by=self.known.user, seats=self.seats, **body)
            return self.lead_to(OVERVIEW, text=gettext("The change is planned."))
        row = subscriptions.change_plan(self.owner, by=self.known.user, seats=self.seats, **body)
        name = row.plan.name if row.plan else ""
        return self.lead_to(OVERVIEW, text=gettext("Your subscription is now {plan}.").format(plan=name))


def sum_lines(invoice: InvoicePreview) -> dict[str, Money]:
    """What stands on the page, by the lines' kinds; nothing of a kind that is not there."""
    kinds: dict[str, int] = {}
    for line in invoice.lines:
        kinds[line.kind] = kinds.get(line.kind, 0) + line.amount_cents
    kinds |= {
        "discount": -invoice.discount_cents,
        "tax": invoice.tax_cents,
        "credit": min(invoice.due_cents - invoice.total_cents, 0) if invoice.lines else 0,
        "gained": max(-invoice.total_cents, 0),
        "due": invoice.due_cents,
    }
    return {kind: Money(cents, invoice.currency) for kind, cents in kinds.items() if cents or kind == "due"}
