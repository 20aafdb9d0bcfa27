"""Is there anything that a worker should be doing now? The apps whose rows are queues say so."""

from collections.abc import Callable

DueWorkCheck = Callable[[], bool]

_questions: list[DueWorkCheck] = []


def register_due_work_check(question: DueWorkCheck) -> DueWorkCheck:
    """Register a small query: whether something in this queue is due."""
    _questions.append(question)
    return question


def is_work_due() -> bool:
    return any(question() for question in _questions)
