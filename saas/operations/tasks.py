"""Nightly tasks."""

import logging

from celery import shared_task

from saas.operations.invariants import find_violations

logger = logging.getLogger(__name__)


@shared_task
def check_invariants() -> None:
    """Log one error for each violation; an alert counts them."""
    for violation in find_violations():
        logger.error(
            "invariant_broken",
            extra={"invariant": violation.name, "rule": violation.rule, "subject": violation.subject},
        )
