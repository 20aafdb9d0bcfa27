"""Which functions handle which type of event, and calling them.

An app that handles events writes functions in its ``webhook_handlers.py``, which is imported at start-up like Celery's
``tasks.py``:

    @handles("customer.subscription.*")
    def sync_subscription(event: WebhookEvent, data: EventData) -> None: ...

A handler runs inside the transaction that marks its event processed: its effect and the mark commit together. It may run
again for the same event, and events come in any order. It never calls the network. What has to be asked of the provider is
asked before that transaction, by a function that appends the answer as another event:

    @before_transaction("customer.subscription.*", when=needs_answer)
    def fetch(event: WebhookEvent, data: EventData) -> None: ...

For types that come in masses (meter events, say), one statement for each event is most of the cost. A batch handler gets all
events of a batch at once, in the same transaction, and a single event where the batch was rolled back:

    @handles_batch("billing.meter.*")
    def count(events: Sequence[tuple[WebhookEvent, EventData]]) -> None: ...
"""

import contextvars
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Generic, TypeVar

from django.conf import settings
from django.db import connections

from saas.database.connections import is_in_transaction
from saas.webhook_events.envelope import EventData, Unreadable, load_event_data
from saas.webhook_events.models import WebhookEvent, handled_type

# Together with a batch's time this stays below the visibility timeout of a claim.
PREFETCH_SECONDS = 8.0
_CACHED_TYPES = 1000  # more than any provider has


class Permanent(Exception):
    """The event fails at once, without further attempts."""


class Ignore(Exception):
    """The event is not for this system: it is kept, with status ``ignored``."""


class Retry(Exception):
    """Try again after ``after``, by default after the delay of the retry policy. Counts as a failure."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class TimedOut(Exception):
    """Counts as a failure. Otherwise an attempt that is slow each time would be repeated without end."""


Handler = Callable[[WebhookEvent, EventData], None]
BatchFunction = Callable[[Sequence[tuple[WebhookEvent, EventData]]], None]
NeedsPrefetch = Callable[[Collection[int]], set[int]]  # events' primary keys to those of them that need it


class BatchHandler:
    """A handler that takes many events at once (``handle_batch``); called like any other it takes one."""

    def __init__(self, handle_batch: BatchFunction) -> None:
        self.handle_batch = handle_batch

    def __call__(self, event: WebhookEvent, data: EventData) -> None:
        self.handle_batch([(event, data)])


@dataclass(frozen=True)
class Prefetch:
    """``needed_by`` may read the database, and nothing else."""

    fetch: Handler
    needed_by: NeedsPrefetch


T = TypeVar("T")


class Registry(Generic[T]):
    """Entries by patterns of event types. ``matching(event_type)`` returns them in the order of registration, each once."""

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        self._entries = list(entries)
        self.matching = lru_cache(_CACHED_TYPES)(self._matching)

    def add(self, patterns: Iterable[str], entry: T) -> None:
        self._entries.extend((pattern, entry) for pattern in patterns)
        self.matching.cache_clear()

    def copy(self) -> "Registry[T]":
        return Registry(self._entries)

    def _matching(self, event_type: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(entry for pattern, entry in self._entries if fnmatchcase(event_type, pattern)))


_handlers: Registry[Handler] = Registry()
_prefetches: Registry[Prefetch] = Registry()


def handles(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a handler for event types; ``*`` matches any characters."""

    def register(function: Handler) -> Handler:
        _handlers.add(patterns, function)
        return function

    return register


def handles_batch(*patterns: str) -> Callable[[BatchFunction], BatchFunction]:
    """Register a handler that takes many events at once, all different, in the order of the batch."""

    def register(function: BatchFunction) -> BatchFunction:
        _handlers.add(patterns, BatchHandler(function))
        return function

    return register


def before_transaction(*patterns: str, when: NeedsPrefetch = set) -> Callable[[Handler], Handler]:
    """Register a prefetch: a function that runs before the handlers of these types, outside any transaction.

    It may call the network. What it raises fails the attempt. ``when`` returns the events that need it; by default all.
    """

    def register(function: Handler) -> Handler:
        _prefetches.add(patterns, Prefetch(function, when))
        return function

    return register


def handlers_for(event_type: str) -> tuple[Handler, ...]:
    return _handlers.matching(handled_type(event_type))


def prefetches_for(event_type: str) -> tuple[Prefetch, ...]:
    return _prefetches.matching(handled_type(event_type))


def require_object_id(event: WebhookEvent) -> str:
    """Return the id of the object that the event shows. Raises ``Ignore`` if there is none."""
    if not event.object_id:
        raise Ignore("The event shows no object with an id.")
    return event.object_id


class BatchBuffer:
    """Collects the events of one transaction for each batch handler, until ``flush``."""

    def __init__(self) -> None:
        self._events: dict[BatchHandler, list[tuple[WebhookEvent, EventData]]] = defaultdict(list)

    def add(self, handler: BatchHandler, event: WebhookEvent, data: EventData) -> None:
        self._events[handler].append((event, data))

    def flush(self) -> None:
        """Raise what handlers raise."""
        for handler, events in self._events.items():
            handler.handle_batch(events)


def dispatch_event(event: WebhookEvent, buffer: BatchBuffer | None = None) -> str:
    """Call the event's handlers, or return why it is ignored. Raises what handlers raise.

    With a ``buffer``, batch handlers are not called: their events are added to it.
    """
    if not event.type:
        raise Unreadable(event.last_error)
    if reason := _why_not_ours(event):
        return reason
    if not (handlers := handlers_for(event.type)):
        return "no handler"
    data = load_event_data(event)
    if not (data.object or event.object_id):  # a thin event names it, if there is one: invoice.upcoming has none
        return "" if event.type == event.handled_type else "no object"
    for handler in handlers:
        if buffer and isinstance(handler, BatchHandler):
            buffer.add(handler, event, data)
        else:
            handler(event, data)
    return ""


def _why_not_ours(event: WebhookEvent) -> str:
    if event.livemode != settings.STRIPE_LIVEMODE:
        return "livemode mismatch"
    return "another account" if event.account else ""


def run_prefetches(event_id: int, event_type: str) -> None:
    """Raise what a prefetch raises, and ``TimedOut``."""
    needed = [prefetch for prefetch in prefetches_for(event_type) if prefetch.needed_by([event_id])]
    if not needed:
        return
    event = WebhookEvent.objects.select_related("payload").get(pk=event_id)
    if _why_not_ours(event):
        return
    data = load_event_data(event)
    for prefetch in needed:
        _run_within(PREFETCH_SECONDS, partial(prefetch.fetch, event, data))


def _run_within(seconds: float, fetch: Callable[[], object]) -> None:
    """Run ``fetch`` in a thread of its own, and wait for ``seconds``.

    The provider's client has time limits that are longer than a claim lasts. The thread goes on until these end it; what it
    still fetches is stored as another event.
    """
    if is_in_transaction():  # another thread would not see its rows: in tests only
        fetch()
        return
    raised: list[BaseException] = []

    def run() -> None:
        try:
            fetch()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=[run], name="webhook-prefetch", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimedOut(f"the provider has not answered within {seconds:g} s")
    for error in raised:
        raise error
