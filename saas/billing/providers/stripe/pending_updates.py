"""Changes that Stripe makes only once they are paid: https://docs.stripe.com/billing/subscriptions/pending-updates."""

from typing import Any

from django.utils.translation import gettext_noop as _
from stripe import V1Services

from saas.billing.providers.stripe.answers import raw_json, translate_errors
from saas.security.untrusted_json import as_object, as_text

WAITS_FOR_PAYMENT = _("The payment was not made. The change is, once you pay its open invoice within a day.")
# They pay days later, so Stripe lets no change wait for them.
BANK_DEBITS = {"acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"}
PAYS_BY = ["default_payment_method", "customer.invoice_settings.default_payment_method"]


def can_wait(client: V1Services, subscription_id: str) -> bool:
    """Whether a change may wait for its payment: Stripe lets it only where it charges by itself, all is paid, and the payment is
    made at once."""
    with translate_errors():
        shown = raw_json(client.subscriptions.retrieve(subscription_id, {"expand": PAYS_BY}))
    charges_by_itself = shown.get("collection_method") == "charge_automatically"
    return shown.get("status") == "active" and charges_by_itself and _method_type(shown) not in BANK_DEBITS


def _method_type(subscription: dict[str, Any]) -> str:
    settings = as_object(as_object(subscription.get("customer")).get("invoice_settings"))
    method = subscription.get("default_payment_method") or settings.get("default_payment_method")
    return as_text(as_object(method).get("type"), 64)
