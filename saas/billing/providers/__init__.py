"""The payment provider behind one interface: Stripe, or the local provider of development, as ``BILLING_GATEWAY`` says."""

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from saas.billing.providers.interface import (
    CheckoutSession,
    CustomerMissing,
    Gateway,
    IdempotencyMismatch,
    InvoicePreview,
    PaymentDeclined,
    ProviderFailed,
    ProviderForbids,
    ProviderPageRequired,
    ProviderRefused,
    ProviderUnavailable,
    TaxIdRefused,
    UnansweredRefund,
)

__all__ = [
    "CheckoutSession",
    "CustomerMissing",
    "Gateway",
    "IdempotencyMismatch",
    "InvoicePreview",
    "PaymentDeclined",
    "ProviderFailed",
    "ProviderForbids",
    "ProviderPageRequired",
    "ProviderRefused",
    "ProviderUnavailable",
    "TaxIdRefused",
    "UnansweredRefund",
    "current_gateway",
    "current_provider",
]


def current_provider() -> str:
    """Its name, as ``Customer.Provider`` has it."""
    return str(import_string(settings.BILLING_GATEWAY).provider)


def current_gateway() -> Gateway:
    """The provider that this deployment bills through."""
    return cast(Gateway, import_string(settings.BILLING_GATEWAY)())
