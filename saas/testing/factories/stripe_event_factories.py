"""Events of Stripe, as if they had been delivered."""

from typing import Any

from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent


def receive_event(type: str, thing: dict[str, Any], *, later: int = 0, **data: Any) -> None:
    """Store an event about the Stripe object ``thing``, made ``later`` seconds after ``whole.AT``, and process what is due."""
    id = f"evt_{WebhookEvent.objects.count()}"
    append_event(whole.event(type, thing, id=id, at=whole.AT + later, **data), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
