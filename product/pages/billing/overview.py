"""The plan, what is charged next, usage, payment methods and invoices; above them what the payer has to do now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import get_language

from product.pages.billing.base import BillingPage
from product.pages.billing.charges import current_charge, planned_change
from product.pages.billing.details import shown_details
from product.pages.teams.base import list_page
from saas.billing import clock, subscriptions
from saas.billing.catalogue.usage import limit_usage
from saas.billing.entitlements import get_entitlements
from saas.billing.invoices.billed_to import find_billing_details
from saas.billing.invoices.details import find_link
from saas.billing.models import BillingDetails, Invoice, Owner, PaymentMethod, Subscription, TaxId
from saas.billing.providers import InvoicePreview
from saas.errors import NotFound
from saas.money import Money
from saas.teams.models import Team


@dataclass(frozen=True)
class NextInvoice:
    amount: Money
    at: datetime | None


class OverviewPage(BillingPage):
    template = "product/pages/billing/overview.html"

    def context(self) -> dict[str, Any]:
        row, now = self._find_subscription(), clock.now()
        invoices = list_page(Invoice.objects.for_owner(self.owner).issued(), self.request.GET.get("cursor", ""))
        entitlements = get_entitlements(self.owner)
        planned = planned_change(row) if row else None
        details = find_billing_details(self.owner)
        return {
            **super().context(),
            "subscription": row,
            "charge": row and current_charge(row),
            "planned": planned,
            "has_access": bool(row and row.grants_access(now)),
            "trial_days_left": (row.trial_end - now).days + 1 if row and row.trial_end and row.trial_end > now else 0,
            # The provider's preview does not know the planned price.
            "next_invoice": None if planned else self._next_invoice(row),
            "to_pay": _invoice_to_pay(row, invoices.items) if row else None,
            "covered_by": self._covering_plan() if row is None else None,
            "usage": limit_usage(self.owner, entitlements),
            "payment_methods": PaymentMethod.objects.for_owner(self.owner).usable().order_by("-created_at"),
            "details": shown_details(details, get_language() or "en"),
            "tax_ids_elsewhere": _tax_ids_elsewhere(self.owner, details),
            "invoices": invoices.items,
            "next_cursor": invoices.next,
        }

    def _find_subscription(self) -> Subscription | None:
        """As it is stored; asks the provider after a visit to its pages, and while a payment is awaited.

        Never asks it in the impersonated view, whose requests run in a transaction.
        """
        row = subscriptions.current_subscription(self.owner)
        may_have_changed = "from" in self.request.GET or _waits(row)
        if may_have_changed and not self._impersonation:
            return subscriptions.refresh_subscription(self.owner)
        return row

    def _next_invoice(self, row: Subscription | None) -> NextInvoice | None:
        found: InvoicePreview | None = None
        if row and not self._impersonation:
            found = subscriptions.preview_next_invoice(row)
        return NextInvoice(Money(found.due_cents, found.currency), found.next_charge_at) if found else None

    def _covering_plan(self) -> Subscription | None:
        """A team without a subscription has what its owner's gives."""
        if not isinstance(self.owner, Team):
            return None
        row = subscriptions.current_subscription(self.owner.owner)
        return row if row and row.plan and row.grants_access(clock.now()) else None


class InvoicePage(BillingPage):
    """On to the provider's page of an invoice."""

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        row = Invoice.objects.for_owner(self.owner).issued().filter(pk=place["invoice_id"]).first()
        link = find_link(row, is_impersonated=bool(self._impersonation)) if row else ""
        if not link:
            raise NotFound
        return HttpResponseRedirect(link)


def _tax_ids_elsewhere(owner: Owner, details: BillingDetails) -> list[str]:
    """Those that the provider has besides the one that is shown."""
    if not getattr(details, "has_other_tax_ids", False):
        return []
    live = TaxId.objects.for_owner(owner).live().exclude(kind=details.tax_id_kind, value=details.tax_id)
    return list(live.order_by("created_at").values_list("value", flat=True))


def _invoice_to_pay(row: Subscription, latest: Sequence[Invoice]) -> Invoice | None:
    """Which its owner has to pay. Where the subscription is active, the one of the ``latest`` that they have to confirm, such as
    that of a change which waits for it; others are on their way."""
    if _waits(row):
        return row.customer.invoices.to_pay().of_subscription(row).first()
    return next((one for one in latest if one.needs_action and one.subscription_id == row.external_id), None)


def _waits(row: Subscription | None) -> bool:
    """Return whether the subscription waits for a payment: its status grants no access."""
    return bool(row and row.status not in Subscription.GRANTING)
