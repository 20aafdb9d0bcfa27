"""The payment provider behind one interface: Stripe where there is a key, else the local provider."""

from django.conf import settings

from saas.billing.gateway.interface import (
    Gateway,
    PaymentDeclined,
    Preview,
    ProviderRefused,
    ProviderUnavailable,
    Session,
    UseTheProvidersPage,
)
from saas.billing.gateway.local import LocalGateway

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
        from saas.billing.gateway.stripe import StripeGateway  # its SDK costs every process 15 MB and half a second

        return StripeGateway(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)
    return LocalGateway()
