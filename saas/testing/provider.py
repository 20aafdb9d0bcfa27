"""The local payment provider without a running webhooks service."""

from saas.billing import local_events
from saas.testing import inbox


def deliver() -> None:
    """Whatever it has yet to tell comes in, signed, and everything that waits takes effect."""
    local_events.take_in()
    inbox.drain()
