"""Refunds of the payment of an invoice, at Stripe."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from stripe.params import RefundCreateParams, RefundListParams

from saas.billing.models import InvoiceAdjustment
from saas.billing.providers.interface import ProviderRefused, UnansweredRefund
from saas.billing.providers.stripe.answers import rows, translate_errors
from saas.billing.sync import stripe_objects

MOST_REFUNDS = 1_000  # of one payment


@dataclass(frozen=True)
class Payment:
    """``intent`` is empty where only a charge is known."""

    invoice_id: str
    intent: str
    charge: str

    def at_stripe(self) -> dict[str, str]:
        """Return the parameter that names it in a call."""
        return {"payment_intent": self.intent} if self.intent else {"charge": self.charge}


def payment_of(invoice: dict[str, Any], invoice_id: str) -> Payment:
    """``invoice`` with its payments. Raises ``ProviderRefused`` where none of them can be refunded."""
    listed = (invoice.get("payments") or {}).get("data", [])
    payments = [row["payment"] for row in listed if row["status"] == "paid"]
    paid = next((it for it in payments if it.get("payment_intent") or it.get("charge")), None)
    if paid is None:
        raise ProviderRefused("The invoice was not paid by a payment that can be refunded.")
    return Payment(
        invoice_id, stripe_objects.id_of(paid.get("payment_intent")), stripe_objects.id_of(paid.get("charge"))
    )


def creation_params(payment: Payment, amount_cents: int, reason: str) -> RefundCreateParams:
    metadata = {"invoice": payment.invoice_id, "reason": reason[:500]}
    return cast(RefundCreateParams, {**payment.at_stripe(), "amount": amount_cents, "metadata": metadata})


def find_made(client: Any, payment: Payment, amount_cents: int, unanswered: UnansweredRefund) -> str:
    """The refund of that amount that such a call has made for our invoice, whether or not an event has shown it; else empty.
    ``client`` is the SDK's."""
    wanted = cast(RefundListParams, {**payment.at_stripe(), "limit": 100})
    with translate_errors():
        listed = list(islice(rows(client.refunds.list(wanted)), MOST_REFUNDS))
    since = unanswered.since.timestamp()
    ours = [row["id"] for row in listed if row["created"] >= since and _is_ours(row, payment, amount_cents)]
    return next((id for id in ours if id not in unanswered.answered), "")


def _is_ours(row: dict[str, Any], payment: Payment, amount_cents: int) -> bool:
    is_of_invoice = (row.get("metadata") or {}).get("invoice") == payment.invoice_id
    return is_of_invoice and row["amount"] == amount_cents and row.get("status") not in InvoiceAdjustment.FAILED_REFUNDS
