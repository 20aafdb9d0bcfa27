"""Whether there is work that a worker should be doing now, as reported by the apps whose rows are queues."""

from collections.abc import Callable

DueWorkCheck = Callable[[], bool]

_checks: list[DueWorkCheck] = []


def register_due_work_check(check: DueWorkCheck) -> DueWorkCheck:
    """Register a small query that returns whether something in a queue is due."""
    _checks.append(check)
    return check


def is_work_due() -> bool:
    return any(check() for check in _checks)
