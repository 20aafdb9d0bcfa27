"""Tasks that concern all apps: the nightly check of invariants, and deleting what is past its time."""

import logging

from celery import shared_task

from saas.operations.invariants import find_violations
from saas.operations.retention import passes

logger = logging.getLogger(__name__)


@shared_task
def check_invariants() -> None:
    """Log one error for each violation; an alert counts them."""
    for violation in find_violations():
        logger.error(
            "invariant_broken",
            extra={"invariant": violation.name, "rule": violation.rule, "subject": violation.subject},
        )


@shared_task
def delete_expired() -> None:
    """Delete rows past their time, for a while: the next run goes on."""
    passes.delete_expired()
