"""The order in which the events of one object happened.

``created`` has whole seconds, event ids have no order, and events arrive in any order. So: by ``created``; within one
second ``*.created`` first, ``*.deleted`` last, and each other event after the one whose object has the values of its
``previous_attributes``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise, permutations
from typing import Any

from saas.billing.sync.stripe_objects import items, line_price_id
from saas.security.untrusted_json import JSONObject, as_time

MAX_PERMUTED = 6  # events of one second, of which every order is tried
Facets = Callable[[JSONObject], object]
Rank = Callable[[JSONObject], int]


@dataclass(frozen=True)
class StoredEvent:
    """One stored event: its object after it, and the values that changed as they were before it.

    ``is_fetched``: it holds an answer of the provider. It has no previous values; its id begins with the time of the call.
    """

    id: str
    type: str
    created: int
    object: JSONObject
    previous: JSONObject
    is_fetched: bool = False

    def has_verb(self, *verbs: str) -> bool:
        return self.type.rpartition(".")[2] in verbs


def order_events(events: Sequence[StoredEvent], *, facets: Facets, rank: Rank) -> tuple[list[StoredEvent], bool]:
    """The events in order, and whether that order is ambiguous (a gap, a cycle, or no previous values).

    ``facets`` gives what makes two snapshots equal; ``rank`` decides between orders that are equally likely.
    """
    ordered: list[StoredEvent] = []
    is_ambiguous = False
    for _, same_second in groupby(
        sorted(events, key=lambda event: (event.created, event.id)), lambda event: event.created
    ):
        group = list(same_second)
        first = [event for event in group if event.has_verb("created")]
        last = [event for event in group if event.has_verb("deleted", "detached")]
        between = [event for event in group if event not in first and event not in last]
        ordered += first
        chained, is_unclear = _chain(between, ordered[-1] if ordered else None, facets, rank)
        ordered += [*chained, *last]
        is_resolved = ordered[-1].is_fetched  # a fetched answer resolves the ambiguity
        is_ambiguous = is_unclear or (is_ambiguous and not is_resolved)
    return ordered, is_ambiguous


def _chain(
    events: list[StoredEvent], before: StoredEvent | None, facets: Facets, rank: Rank
) -> tuple[list[StoredEvent], bool]:
    """The events of one second so that each follows the one before, and whether that is unclear."""
    if len(events) < 2 or all(event.is_fetched for event in events):
        return events, False
    if len(events) > MAX_PERMUTED:
        return sorted(events, key=lambda event: rank(event.object)), True

    def gaps(order: tuple[StoredEvent, ...]) -> int:
        steps = pairwise(order if before is None else (before, *order))
        return sum(not _follows(earlier, later, facets) for earlier, later in steps)

    def keeps_fetched_order(order: tuple[StoredEvent, ...]) -> bool:
        return all(earlier.id < later.id for earlier, later in pairwise(event for event in order if event.is_fetched))

    weighed = [(gaps(order), order) for order in permutations(events) if keeps_fetched_order(order)]
    fewest = min(weight for weight, _ in weighed)
    best = [order for weight, order in weighed if weight == fewest]
    ends = {facets(order[-1].object) for order in best}
    chosen = max(best, key=lambda order: rank(order[-1].object))
    return list(chosen), fewest > 0 or before is None or len(ends) > 1


def _follows(earlier: StoredEvent, later: StoredEvent, facets: Facets) -> bool:
    if later.previous:
        return matches_previous_attributes(later.previous, earlier.object)
    return facets(later.object) == facets(earlier.object)


def matches_previous_attributes(previous: Any, value: Any) -> bool:
    """Whether ``value`` has the values of ``previous_attributes``. A missing key counts as null."""
    if isinstance(previous, dict) and isinstance(value, dict):
        return all(
            _lines(old) == _lines(value.get(name))
            if name == "items"
            else matches_previous_attributes(old, value.get(name))
            for name, old in previous.items()
        )
    return bool(previous == value)


def _lines(value: object) -> list[tuple[str, object]]:
    """Renewals repeat whole items; only their price and quantity count."""
    return [(line_price_id(row), row.get("quantity")) for row in items(value)]


def last_event(events: Sequence[StoredEvent], *, end_verb: str) -> tuple[StoredEvent, datetime | None]:
    """The event that ended the object, with its time; else the last event, with ``None``."""
    ordered, _ = order_events(events, facets=repr, rank=lambda _: 0)
    if ends := [event for event in ordered if event.has_verb(end_verb)]:
        return ends[0], as_time(ends[0].created)
    return ordered[-1], None
