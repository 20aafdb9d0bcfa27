"""Invariants: what must be true of the stored rows at all times.

An app registers its own in its ``invariants.py``, which is discovered like Celery's ``tasks.py``:

    @invariant
    def one_open_checkout() -> Iterable[str]:
        '''No customer has two open checkouts.'''
        yield from Checkout.objects…values_list("customer", flat=True)

It yields the id of each row that violates it, by a few small queries; the first line of its docstring is shown to people.
``find_violations()`` runs all of them, for ``manage.py doctor`` and a nightly task. Nothing is changed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from saas.operations.app_discovery import autodiscover

Invariant = Callable[[], Iterable[str]]
MAX_REPORTED = 20  # per invariant: one bug may violate it in every row

_invariants: dict[str, Invariant] = {}


@dataclass(frozen=True)
class Violation:
    """``name`` is stable, for alerts; ``rule`` is the sentence that is false of the row with the id ``subject``."""

    name: str
    rule: str
    subject: str

    def __str__(self) -> str:
        return f"{self.name}: {self.subject} ({self.rule})"


def invariant(check: Invariant) -> Invariant:
    """Register a check under its name and app: ``billing.one_open_checkout``."""
    _invariants[f"{check.__module__.split('.')[-2]}.{check.__name__}"] = check
    return check


def registered_invariants() -> dict[str, Invariant]:
    """Return the invariants of all active apps, by name."""
    autodiscover("invariants")
    return dict(sorted(_invariants.items()))


def find_violations() -> Iterator[Violation]:
    """Yield violations, at most ``MAX_REPORTED`` of each invariant."""
    for name, check in registered_invariants().items():
        rule = (check.__doc__ or name).splitlines()[0]
        for subject in islice(check(), MAX_REPORTED):
            yield Violation(name, rule, subject)
