"""The local payment provider without a running webhooks service."""

from saas.billing.providers.local import event_delivery
from saas.testing.factories import event_factories


def deliver_events() -> None:
    """Whatever it has yet to tell comes in, signed, and everything that waits takes effect."""
    event_delivery.process_undelivered_events()
    event_factories.drain()
