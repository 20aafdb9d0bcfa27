"""Which function acts on which type of event.

An app that wants events writes functions in its ``webhook_handlers.py``, found at start-up like Celery's ``tasks.py``:

    @handles("customer.subscription.*")
    def mirror_subscription(event: WebhookEvent, data: EventData) -> None: ...

A handler runs inside the transaction that marks its event processed: its effect and the mark are one fact. It may run
again for the same event and in any order among events; it never calls the network. One that must ask the provider does
so in a function of its own, before that transaction; what it learns it appends as an event:

    @before_transaction("customer.subscription.*", when=order_is_a_guess)
    def ask(event: WebhookEvent, data: EventData) -> None: ...

Of what comes in masses (meter events, say) a statement for each event is most of the cost. A function that can act on many
at once is handed those of a batch together, in that one transaction, and one alone where a batch went wrong:

    @handles_batch("billing.meter.*")
    def count(events: Sequence[tuple[WebhookEvent, EventData]]) -> None: ...
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Generic, TypeVar

from saas.webhook_events.models import WebhookEvent


class Permanent(Exception):
    """Trying again is pointless: the event fails at once."""


class Ignore(Exception):
    """Not for us: the event is kept and ignored."""


class Retry(Exception):
    """Not yet: try again after ``after``, or when the schedule says. Counts as a failure."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True)
class EventData:
    """A parsed event: the object as it was, and the fields' values before, if the provider told them."""

    object: dict[str, Any]
    previous: dict[str, Any]


Handler = Callable[[WebhookEvent, EventData], None]
BatchFunction = Callable[[Sequence[tuple[WebhookEvent, EventData]]], None]


class BatchHandler:
    """A handler that may be handed many events at once by ``act``; called like any other it acts on one."""

    def __init__(self, act: BatchFunction) -> None:
        self.handle_batch = act

    def __call__(self, event: WebhookEvent, data: EventData) -> None:
        self.handle_batch([(event, data)])


NeedsPrefetch = Callable[[Collection[int]], set[int]]  # of these events' keys, those of the events that need it


@dataclass(frozen=True)
class Prefetch:
    """``needed`` may read the database, and nothing else."""

    fetch: Handler
    needed_by: NeedsPrefetch


ObjectEndDates = Callable[[datetime, datetime], Iterable[str]]

_TYPES_REMEMBERED = 1000  # more than any provider has


T = TypeVar("T")


class Registry(Generic[T]):
    """What is there for which types, in the order of its registration. What a type's is is remembered."""

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        self._entries = list(entries)
        self.of = lru_cache(_TYPES_REMEMBERED)(self._matching)

    def add(self, patterns: Iterable[str], entry: T) -> None:
        self._entries.extend((pattern, entry) for pattern in patterns)
        self.of.cache_clear()

    def copy(self) -> "Registry[T]":
        return Registry(self._entries)

    def _matching(self, event_type: str) -> tuple[T, ...]:
        wanted = [entry for pattern, entry in self._entries if fnmatchcase(event_type, pattern)]
        return tuple(dict.fromkeys(wanted))


_object_end_dates: list[ObjectEndDates] = []
_handlers: Registry[Handler] = Registry()
_prefetches: Registry[Prefetch] = Registry()


def handles(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a function for event types; ``*`` matches any characters."""

    def registering(function: Handler) -> Handler:
        _handlers.add(patterns, function)
        return function

    return registering


def handles_batch(*patterns: str) -> Callable[[BatchFunction], BatchFunction]:
    """Register a function that acts on many events in one go: each is another one, in the order of the batch."""

    def registering(function: BatchFunction) -> BatchFunction:
        _handlers.add(patterns, BatchHandler(function))
        return function

    return registering


def before_transaction(*patterns: str, when: NeedsPrefetch = set) -> Callable[[Handler], Handler]:
    """Register a function that runs before the handlers of these types, outside any transaction. It may call the network;
    what it raises is the attempt's failure. An event that ``when`` does not name has no need of it."""

    def registering(function: Handler) -> Handler:
        _prefetches.add(patterns, Prefetch(function, when))
        return function

    return registering


def object_end_dates(function: ObjectEndDates) -> ObjectEndDates:
    """Register a function that names the mirrored objects whose life ended between two moments: retention asks it."""
    _object_end_dates.append(function)
    return function


def object_end_date_sources() -> list[ObjectEndDates]:
    return list(_object_end_dates)


def handlers_for(event_type: str) -> tuple[Handler, ...]:
    """The functions that want events of this type, in the order of their registration, each once."""
    return _handlers.of(event_type)


def prefetches_for(event_type: str) -> tuple[Prefetch, ...]:
    """What runs before those, where it is needed."""
    return _prefetches.of(event_type)
