"""What an invoice is made of, as its newest stored event shows it: who is billed, lines, discounts, taxes, where its PDF is."""

import logging
from dataclasses import dataclass

from django.utils.translation import get_language

from saas.billing import providers
from saas.billing.invoices.billed_to import address_lines
from saas.billing.models import Invoice
from saas.billing.sync import event_history
from saas.billing.sync.projections.invoices import newest_event
from saas.errors import DomainError
from saas.money import Money
from saas.security.untrusted_json import JSONObject, as_integer, as_object, as_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InvoiceLine:
    text: str
    amount: Money


@dataclass(frozen=True)
class InvoiceDetails:
    """Without lines where the payload was deleted by retention. ``pdf_url`` is empty or an address with https."""

    lines: tuple[InvoiceLine, ...] = ()
    has_more_lines: bool = False  # than the events show
    discount: Money | None = None
    tax: Money | None = None
    name: str = ""
    address: tuple[str, ...] = ()
    tax_ids: tuple[str, ...] = ()
    pdf_url: str = ""


def invoice_details(invoice: Invoice) -> InvoiceDetails:
    events = event_history.stored_events(invoice.external_id, "invoice.")
    if not events:
        return InvoiceDetails()
    shown, currency = newest_event(events).object, invoice.currency
    listed = as_object(shown.get("lines"))
    pdf = as_text(shown.get("invoice_pdf"), 2048)
    return InvoiceDetails(
        lines=tuple(_line(line, currency) for line in _objects(listed.get("data"))),
        has_more_lines=listed.get("has_more") is True,
        discount=_sum(shown.get("total_discount_amounts"), currency),
        tax=_sum(shown.get("total_taxes") or shown.get("total_tax_amounts"), currency),
        name=as_text(shown.get("customer_name")),
        address=tuple(address_lines(as_object(shown.get("customer_address")), get_language() or "en")),
        tax_ids=tuple(as_text(one.get("value"), 40) for one in _objects(shown.get("customer_tax_ids"))),
        pdf_url=pdf if pdf.startswith("https://") else "",
    )


def find_link(invoice: Invoice, *, is_impersonated: bool = False) -> str:
    """The provider's page, where the customer sees, pays and downloads it. Asked for each time, because its address expires
    within two months.

    The stored one where the provider does not answer, and for an impersonation: its requests run in a transaction, in which
    the provider is not asked.
    """
    if is_impersonated:
        return invoice.hosted_url
    try:
        return providers.current_gateway().invoice_url(invoice.external_id) or invoice.hosted_url
    except DomainError as refusal:
        logger.warning("invoice_link_not_asked", extra={"invoice": invoice.pk, "reason": refusal.code})
        return invoice.hosted_url


def _line(line: JSONObject, currency: str) -> InvoiceLine:
    text = as_text(line.get("description"), 300) or as_text(line.get("id"), 255)
    return InvoiceLine(text, Money(as_integer(line.get("amount")) or 0, currency))


def _sum(amounts: object, currency: str) -> Money | None:
    found = [as_integer(one.get("amount")) or 0 for one in _objects(amounts)]
    return Money(sum(found), currency) if found else None


def _objects(found: object) -> list[JSONObject]:
    return [as_object(one) for one in found] if isinstance(found, list) else []
