"""The payment provider behind one interface: Stripe where there is a key, else the local provider."""

from django.conf import settings

from saas.billing.providers.interface import (
    ChangePreview,
    CheckoutSession,
    Gateway,
    PaymentDeclined,
    ProviderPageRequired,
    ProviderRefused,
    ProviderUnavailable,
)
from saas.billing.providers.local.gateway import LocalGateway

__all__ = [
    "ChangePreview",
    "CheckoutSession",
    "Gateway",
    "LocalGateway",
    "PaymentDeclined",
    "ProviderPageRequired",
    "ProviderRefused",
    "ProviderUnavailable",
    "current_gateway",
]


def current_gateway() -> Gateway:
    """The provider that this deployment bills through."""
    if settings.STRIPE_SECRET_KEY:
        from saas.billing.providers.stripe.gateway import StripeGateway

        return StripeGateway(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)
    return LocalGateway()
