"""The payment provider behind one interface: Stripe, or the local provider of development, as ``BILLING_GATEWAY`` says."""

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from saas.billing.providers.interface import (
    ChangePreview,
    CheckoutSession,
    Gateway,
    PaymentDeclined,
    ProviderPageRequired,
    ProviderRefused,
    ProviderUnavailable,
)

__all__ = [
    "ChangePreview",
    "CheckoutSession",
    "Gateway",
    "PaymentDeclined",
    "ProviderPageRequired",
    "ProviderRefused",
    "ProviderUnavailable",
    "current_gateway",
]


def current_gateway() -> Gateway:
    """The provider that this deployment bills through."""
    return cast(Gateway, import_string(settings.BILLING_GATEWAY)())
