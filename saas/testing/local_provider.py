"""The local payment provider without a running webhooks service."""

from saas.billing.providers.local import event_delivery
from saas.testing.factories import event_factories


def deliver_events() -> None:
    """Deliver the provider's pending events, signed, and process everything that waits."""
    event_delivery.process_undelivered_events()
    event_factories.drain()
