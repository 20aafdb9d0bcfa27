"""What an event does here: the one rule, whether it is acted on alone or in company."""

from collections import defaultdict

from django.conf import settings

from saas.webhook_events.envelope import Unreadable, load_event_data
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.registry import BatchHandler, EventData, handlers_for


class BatchBuffer:
    """What handlers that act on many at once are left with until the whole company is known."""

    def __init__(self) -> None:
        self._left: dict[BatchHandler, list[tuple[WebhookEvent, EventData]]] = defaultdict(list)

    def add(self, handler: BatchHandler, event: WebhookEvent, data: EventData) -> None:
        self._left[handler].append((event, data))

    def flush(self) -> None:
        """Raises what handlers raise."""
        for handler, events in self._left.items():
            handler.handle_batch(events)


def dispatch_event(event: WebhookEvent, company: BatchBuffer | None = None) -> str:
    """Run the event's handlers; or tell why it concerns nobody here, and do nothing. Raises what handlers raise. In
    ``company`` those that act on many are yet to run."""
    if not event.type:
        raise Unreadable(event.last_error)
    if event.livemode != settings.STRIPE_LIVEMODE:
        return "livemode mismatch"
    if event.account:
        return "another account"
    if not (handlers := handlers_for(event.type)):
        return "no handler"
    data = load_event_data(event)
    for handler in handlers if data.object else ():  # one that shows no object asks for nothing
        if company and isinstance(handler, BatchHandler):
            company.add(handler, event, data)
        else:
            handler(event, data)
    return ""
