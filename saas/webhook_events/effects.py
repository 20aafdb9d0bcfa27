"""What an event does here: the one rule, whether it is acted on alone or in company."""

from django.conf import settings

from saas.webhook_events.envelope import Unreadable, event_data
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.registry import handlers_of


def have_effect(event: WebhookEvent) -> str:
    """Run the event's handlers; or tell why it concerns nobody here, and do nothing. Raises what handlers raise."""
    if not event.type:
        raise Unreadable(event.last_error)
    if event.livemode != settings.STRIPE_LIVEMODE:
        return "livemode mismatch"
    if event.account:
        return "another account"
    if not (handlers := handlers_of(event.type)):
        return "no handler"
    data = event_data(event)
    for handler in handlers if data.object else ():  # one that shows no object asks for nothing
        handler(event, data)
    return ""
