"""The local provider's page of an invoice: what was charged, and paying what is open with a test card.

The invoice's id, which cannot be guessed, gives access, as with the page of Stripe's ``hosted_invoice_url``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils.translation import get_language

from saas.background_tasks import notify_workers
from saas.billing import clock
from saas.billing.invoices.billed_to import address_lines
from saas.billing.models import Customer, LocalObject, Price
from saas.billing.models.customers import billing_path
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused
from saas.billing.providers.local import lifecycle, objects, operations
from saas.billing.providers.local.checkout_page import require_card
from saas.billing.providers.local.tasks import deliver_local_events
from saas.errors import NotFound
from saas.money import Money


@dataclass(frozen=True)
class ShownInvoice:
    """``lines`` are texts and amounts. An empty text is a change of the subscription."""

    number: str
    status: str
    issued_at: datetime
    customer_name: str
    customer_email: str
    address: list[str]
    tax_ids: list[str]
    lines: list[tuple[str, Money]]
    discount: Money
    tax: Money
    total: Money
    credit: Money
    due: Money


def get_invoice(invoice_id: str) -> LocalObject:
    """Raises ``NotFound``."""
    row = LocalObject.objects.of_kind("invoice").filter(pk=invoice_id).first()
    if row is None:
        raise NotFound
    return row


def overview_path(row: LocalObject) -> str:
    """Where the front end shows what its customer pays for."""
    customer = Customer.objects.select_related("user", "team").filter(external_id=row.customer_id).first()
    owner = customer.owner if customer else None
    return billing_path(owner) if owner else "/billing"


def describe_invoice(row: LocalObject) -> ShownInvoice:
    data, customer = row.data, LocalObject.objects.get(pk=row.customer_id).data
    language = get_language() or "en"
    money = partial(Money, currency=data["currency"])
    return ShownInvoice(
        number=data["number"],
        status=data["status"],
        issued_at=datetime.fromtimestamp(data["created"], UTC),
        customer_name=data.get("customer_name") or customer["name"],
        customer_email=data.get("customer_email") or customer["email"],
        address=address_lines(data.get("customer_address") or {}, language),
        tax_ids=[tax_id["value"] for tax_id in data.get("customer_tax_ids") or []],
        lines=[(_text(line), money(line["amount"])) for line in data["lines"]["data"]],
        discount=money(sum(one["amount"] for one in data["total_discount_amounts"])),
        tax=money(sum(tax["amount"] for tax in data["total_taxes"])),
        total=money(data["total"]),
        credit=money(max(data["total"], 0) - data["amount_due"]),
        due=money(data["amount_due"]),
    )


def _text(line: dict[str, Any]) -> str:
    """The plan's name for the price's id, with a quantity above one."""
    if line["proration"]:
        return ""
    quantity, _, price_id = str(line["description"]).partition(" × ")
    price = Price.objects.select_related("plan").filter(external_id=price_id).first()
    name = price.plan.name if price and price.plan else str(line["description"])
    return name if quantity == "1" or price is None else f"{quantity} × {name}"


@transaction.atomic
def pay_invoice(row: LocalObject, *, last4: str, is_confirmed: bool = False) -> None:
    """Make the card the default, and pay what is open. Raises ``ChooseACard``, ``ConfirmationRequired``, ``PaymentDeclined``,
    and ``ProviderRefused`` for an invoice that is not open."""
    require_card(last4, is_confirmed=is_confirmed)
    customer = objects.lock_customer(row.customer_id)
    if get_invoice(row.pk).data["status"] != "open":
        raise ProviderRefused("This invoice is not open.")
    now = clock.now()
    operations.add_test_card(customer.pk, last4, now)
    lifecycle.pay_open_invoices(customer.pk, now, is_confirmed=is_confirmed, chosen=row.pk)
    if get_invoice(row.pk).data["status"] != "paid":
        raise PaymentDeclined("The card was declined.")
    notify_workers(deliver_local_events, customer.pk)
