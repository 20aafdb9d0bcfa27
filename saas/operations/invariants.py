"""What must always be true of the stored rows, and what is not.

An app that knows such a thing says so in its ``invariants.py``, found like Celery's ``tasks.py``:

    @invariant
    def one_open_checkout() -> Iterable[str]:
        '''No customer has two open checkouts.'''
        yield from Checkout.objects…values_list("customer", flat=True)

It yields the id of each row that breaks it, in a small query or a few; the first line of its docstring is the sentence
that people read. ``violations()`` asks all of them: for the doctor, and for a nightly task. Nothing is changed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from saas.operations.app_discovery import autodiscover

Invariant = Callable[[], Iterable[str]]
MAX_REPORTED = 20  # of each invariant: one mistake may break it in every row

_invariants: dict[str, Invariant] = {}


@dataclass(frozen=True)
class Violation:
    """``name`` is stable, for alerts; ``rule`` the sentence that is not true of the row ``subject``."""

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
    """All that the active apps know, by name."""
    autodiscover("invariants")
    return dict(sorted(_invariants.items()))


def find_violations() -> Iterator[Violation]:
    """What is not as it must be, at most ``MOST_TOLD`` of each invariant."""
    for name, check in registered_invariants().items():
        rule = (check.__doc__ or name).splitlines()[0]
        for subject in islice(check(), MAX_REPORTED):
            yield Violation(name, rule, subject)
