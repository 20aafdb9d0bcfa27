"""What an event needs to know from the provider, asked before any transaction and for a few seconds only.

The provider's own limits are longer than a claim lasts. So it is asked in a thread of its own: whoever waits stops waiting
when it has waited long enough, and nothing is raised into what that thread is doing. It ends by its own limits, and what it
still learns is one more event.
"""

import contextvars
import threading
from collections.abc import Callable
from functools import partial

from django.db import connections

from saas.database.connections import is_in_transaction
from saas.webhook_events.envelope import load_event_data
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing.claims import Claim
from saas.webhook_events.registry import prefetches_for

LIMIT_SECONDS = 8.0  # with a batch's time under the visibility of a claim


class TimedOut(Exception):
    """Counts as a failure: else what takes so long each time would come back for ever, or be blamed for a death."""


def run_prefetches(claim: Claim) -> None:
    """Raises what a preparation raises, and ``TimedOut``."""
    needed = [each for each in prefetches_for(claim.type) if each.needed_by([claim.event_id])]
    if not needed:
        return
    event = WebhookEvent.objects.select_related("payload").get(pk=claim.event_id)
    data = load_event_data(event)
    for preparation in needed:
        _within(LIMIT_SECONDS, partial(preparation.fetch, event, data))


def _within(seconds: float, ask: Callable[[], object]) -> None:
    if is_in_transaction():  # whose rows another thread could not see: a test's
        ask()
        return
    raised: list[BaseException] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=[_ask, ask, raised], name="webhook-preparation", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimedOut(f"the provider has not answered within {seconds:g} s")
    for error in raised:
        raise error


def _ask(ask: Callable[[], object], raised: list[BaseException]) -> None:
    try:
        ask()
    except BaseException as error:
        raised.append(error)
    finally:
        connections.close_all()
