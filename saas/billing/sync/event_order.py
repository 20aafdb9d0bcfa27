"""In which order the events of one object happened.

``created`` has the granularity of a second, event ids are in no order, and events arrive in any. So: by ``created``;
within one second ``*.created`` first and ``*.deleted`` last, and between them each event after the one whose object its
``previous_attributes`` describe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise, permutations
from typing import Any

from saas.billing.sync.stripe_objects import id_of, items, line_price
from saas.security.untrusted_json import JSONObject, as_time

MAX_PERMUTED = 6  # events of one second whose every order is tried
Facets = Callable[[JSONObject], object]
Rank = Callable[[JSONObject], int]


@dataclass(frozen=True)
class StoredEvent:
    """What one stored event tells of its object.

    ``is_fetched``: we asked. Nothing says what was before, but ids of such events begin with the time of asking.
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
    """The events in their order, and whether any part of it is a guess (a gap, a cycle, or nothing to go by).

    ``facets`` names what makes two snapshots equal; ``rank`` decides where nothing else does.
    """
    ordered: list[StoredEvent] = []
    is_guess = False
    for _, same_second in groupby(sorted(events, key=lambda told: (told.created, told.id)), lambda told: told.created):
        group, unsure = _within_a_second(list(same_second), ordered[-1] if ordered else None, facets, rank)
        ordered += group
        is_guess = unsure or (is_guess and not group[-1].is_fetched)  # what we asked for settles what was a guess
    return ordered, is_guess


def _within_a_second(
    group: list[StoredEvent], before: StoredEvent | None, facets: Facets, rank: Rank
) -> tuple[list[StoredEvent], bool]:
    first = [told for told in group if told.has_verb("created")]
    last = [told for told in group if told.has_verb("deleted", "detached")]
    between = [told for told in group if told not in first and told not in last]
    chained, unsure = _chained(between, first[-1] if first else before, facets, rank)
    return [*first, *chained, *last], unsure


def _chained(
    events: list[StoredEvent], before: StoredEvent | None, facets: Facets, rank: Rank
) -> tuple[list[StoredEvent], bool]:
    if len(events) < 2 or all(told.is_fetched for told in events):
        return events, False
    if len(events) > MAX_PERMUTED:
        return sorted(events, key=lambda told: rank(told.object)), True

    def gaps(order: tuple[StoredEvent, ...]) -> int:
        steps = pairwise(order if before is None else (before, *order))
        return sum(not _follows(earlier, later, facets) for earlier, later in steps)

    weighed = [(gaps(order), order) for order in permutations(events) if _keeps_fetches(order)]
    fewest = min(weight for weight, _ in weighed)
    best = [order for weight, order in weighed if weight == fewest]
    ends = {facets(order[-1].object) for order in best}
    chosen = max(best, key=lambda order: rank(order[-1].object))
    return list(chosen), fewest > 0 or before is None or len(ends) > 1


def _keeps_fetches(order: tuple[StoredEvent, ...]) -> bool:
    return all(earlier.id < later.id for earlier, later in pairwise(told for told in order if told.is_fetched))


def _follows(earlier: StoredEvent, later: StoredEvent, facets: Facets) -> bool:
    if later.previous:
        return matches_previous_attributes(later.previous, earlier.object)
    return facets(later.object) == facets(earlier.object)


def matches_previous_attributes(previous: Any, value: Any) -> bool:
    """Whether ``previous_attributes`` tell the values that ``value`` has. A key that is missing counts as null."""
    if isinstance(previous, dict) and isinstance(value, dict):
        return all(
            _same_lines(old, value.get(name)) if name == "items" else matches_previous_attributes(old, value.get(name))
            for name, old in previous.items()
        )
    return bool(previous == value)


def _same_lines(previous: object, value: object) -> bool:
    """Renewals repeat whole items; only what is bought, and how many, counts."""
    return [_line(row) for row in items(previous)] == [_line(row) for row in items(value)]


def _line(row: JSONObject) -> tuple[str, object]:
    return id_of(line_price(row)), row.get("quantity")


def last_event(events: Sequence[StoredEvent], *, end_verb: str) -> tuple[StoredEvent, datetime | None]:
    """The last event, or the one that ended the object and when that was."""
    ordered, _ = order_events(events, facets=repr, rank=lambda _: 0)
    if ends := [told for told in ordered if told.has_verb(end_verb)]:
        return ends[0], as_time(ends[0].created)
    return ordered[-1], None
