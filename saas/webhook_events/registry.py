"""Which function acts on which type of event.

An app that wants events writes functions in its ``webhook_handlers.py``, found at start-up like Celery's ``tasks.py``:

    @handles("customer.subscription.*")
    def mirror_subscription(event: WebhookEvent, data: EventData) -> None: ...

A handler runs inside the transaction that marks its event processed: its effect and the mark are one fact. It may run
again for the same event and in any order among events; it never calls the network. One that must ask the provider does
so in a function of its own, before that transaction; what it learns it appends as an event:

    @prepares("customer.subscription.*")
    def ask(event: WebhookEvent, data: EventData) -> None: ...

Of what comes in masses (meter events, say) a statement for each event is most of the cost. A function that can act on many
at once is handed those of a batch together, in that one transaction, and one alone where a batch went wrong:

    @handles_together("billing.meter.*")
    def count(events: Sequence[tuple[WebhookEvent, EventData]]) -> None: ...
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

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
ForMany = Callable[[Sequence[tuple[WebhookEvent, EventData]]], None]


class Together:
    """A handler that may be handed many events at once by ``act``; called like any other it acts on one."""

    def __init__(self, act: ForMany) -> None:
        self.act = act

    def __call__(self, event: WebhookEvent, data: EventData) -> None:
        self.act([(event, data)])


Endings = Callable[[datetime, datetime], Iterable[str]]

_TYPES_REMEMBERED = 1000  # more than any provider has


class Registry:
    """Functions by the types that they want, in the order of their registration. What a type's are is remembered."""

    def __init__(self, entries: Iterable[tuple[str, Handler]] = ()) -> None:
        self._entries = list(entries)
        self.of = lru_cache(_TYPES_REMEMBERED)(self._matching)

    def register(self, *patterns: str) -> Callable[[Handler], Handler]:
        def registering(function: Handler) -> Handler:
            self._entries.extend((pattern, function) for pattern in patterns)
            self.of.cache_clear()
            return function

        return registering

    def copy(self) -> "Registry":
        return Registry(self._entries)

    def _matching(self, event_type: str) -> tuple[Handler, ...]:
        wanted = [function for pattern, function in self._entries if fnmatchcase(event_type, pattern)]
        return tuple(dict.fromkeys(wanted))


_endings: list[Endings] = []
_handlers = Registry()
_preparations = Registry()


def handles(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a function for event types; ``*`` matches any characters."""
    return _handlers.register(*patterns)


def handles_together(*patterns: str) -> Callable[[ForMany], ForMany]:
    """Register a function that acts on many events in one go: each is another one, in the order of the batch."""

    def registering(function: ForMany) -> ForMany:
        _handlers.register(*patterns)(Together(function))
        return function

    return registering


def prepares(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a function that runs before the handlers of these types, outside any transaction. It may call the network;
    what it raises is the attempt's failure."""
    return _preparations.register(*patterns)


def tells_endings(function: Endings) -> Endings:
    """Register a function that names the mirrored objects whose life ended between two moments: retention asks it."""
    _endings.append(function)
    return function


def endings() -> list[Endings]:
    return list(_endings)


def handlers_of(event_type: str) -> tuple[Handler, ...]:
    """The functions that want events of this type, in the order of their registration, each once."""
    return _handlers.of(event_type)


def preparations_of(event_type: str) -> tuple[Handler, ...]:
    """What runs before those."""
    return _preparations.of(event_type)
