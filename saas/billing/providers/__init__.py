"""The payment provider behind one interface: Stripe where there is a key, else the local provider."""

from django.conf import settings

from saas.billing.providers.interface import (
    Gateway,
    PaymentDeclined,
    Preview,
    ProviderRefused,
    ProviderUnavailable,
    Session,
    UseTheProvidersPage,
)
from saas.billing.providers.local.gateway import LocalGateway

__all__ = [
    "Gateway",
    "LocalGateway",
    "PaymentDeclined",
    "Preview",
    "ProviderRefused",
    "ProviderUnavailable",
    "Session",
    "UseTheProvidersPage",
    "current",
]


def current() -> Gateway:
    """The provider that this deployment bills through."""
    if settings.STRIPE_SECRET_KEY:
        from saas.billing.providers.stripe.gateway import StripeGateway

        return StripeGateway(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)
    return LocalGateway()
