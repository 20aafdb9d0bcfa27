"""Which function acts on which type of event.

An app that wants events writes functions in its ``webhook_handlers.py``, found at start-up like Celery's ``tasks.py``:

    @handles("customer.subscription.*")
    def mirror_subscription(event: WebhookEvent, data: EventData) -> None: ...

A handler runs inside the transaction that marks its event processed: its effect and the mark are one fact. It may run
again for the same event and in any order among events; it never calls the network. One that must ask the provider does
so in a function of its own, before that transaction; what it learns it appends as an event:

    @prepares("customer.subscription.*")
    def ask(event: WebhookEvent, data: EventData) -> None: ...
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
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

Endings = Callable[[datetime, datetime], Iterable[str]]

_endings: list[Endings] = []
_handlers: list[tuple[str, Handler]] = []
_preparations: list[tuple[str, Handler]] = []


def handles(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a function for event types; ``*`` matches any characters."""
    return _registering(_handlers, patterns)


def prepares(*patterns: str) -> Callable[[Handler], Handler]:
    """Register a function that runs before the handlers of these types, outside any transaction. It may call the network;
    what it raises is the attempt's failure."""
    return _registering(_preparations, patterns)


def tells_endings(function: Endings) -> Endings:
    """Register a function that names the mirrored objects whose life ended between two moments: retention asks it."""
    _endings.append(function)
    return function


def endings() -> list[Endings]:
    return list(_endings)


def _registering(registry: list[tuple[str, Handler]], patterns: Sequence[str]) -> Callable[[Handler], Handler]:
    def register(function: Handler) -> Handler:
        registry.extend((pattern, function) for pattern in patterns)
        return function

    return register


def handlers_of(event_type: str) -> list[Handler]:
    """The functions that want events of this type, in the order of their registration, each once."""
    return _matching(_handlers, event_type)


def preparations_of(event_type: str) -> list[Handler]:
    """What runs before those."""
    return _matching(_preparations, event_type)


def _matching(registry: Sequence[tuple[str, Handler]], event_type: str) -> list[Handler]:
    return list(dict.fromkeys(function for pattern, function in registry if fnmatchcase(event_type, pattern)))
