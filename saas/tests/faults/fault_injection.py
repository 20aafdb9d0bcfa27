"""Short time limits for the fault suite, and injected faults.

A test that detects no fault in a broken system proves nothing: each injected fault must be detected by the test that the
sound system passes.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import time_machine
from django.conf import settings
from django.db import connections as django_connections

from saas.database import connections
from saas.operations import checks
from saas.tests.faults.effects import webhook_handlers
from saas.webhook_events import actions
from saas.webhook_events.dispatch import TimedOut, handlers_for
from saas.webhook_events.envelope import load_event_data
from saas.webhook_events.models import WebhookAttempt, WebhookEvent
from saas.webhook_events.processing import batches, claims, event_worker
from saas.webhook_events.processing.claims import Claim
from saas.workers import beat_scheduler, worker_processes

VISIBILITY_SECONDS = 2.0


def _replace(owner: object, name: str, value: object) -> None:
    """Set what must be there: a fault under an old name would break nothing, and its control detect nothing."""
    getattr(owner, name)
    setattr(owner, name, value)


def inject_fault(fault: str) -> None:
    """Set the short limits, and inject ``fault`` (empty: none), for the rest of this process."""
    _replace(claims, "VISIBILITY_TIMEOUT", timedelta(seconds=VISIBILITY_SECONDS))
    _replace(claims, "BATCH_SIZE", 25)  # so that each of a few workers claims some
    _replace(event_worker, "BATCH_SECONDS", 0.5)
    _replace(checks, "SILENCE_MAX_AGE", timedelta(seconds=3))
    _replace(worker_processes, "HEARTBEAT_SECONDS", 0.5)
    _replace(worker_processes, "MIN_FAILING_SECONDS", 2.0)
    _replace(batches, "EFFECT_LIMIT_SECONDS", 6.0)  # longer than any wait for the database, as in production: 5 s here
    if fault:
        _FAULTS[fault]()


def _mark_first() -> None:
    """Mark as processed and commit before the effect."""

    def effect(claim: Claim) -> WebhookAttempt.Outcome | None:
        event = claims.lock_claimed(claim)
        if event:
            claims.finish_attempt(claim, WebhookAttempt.Outcome.PROCESSED, status=WebhookEvent.Status.PROCESSED)
            for handler in handlers_for(event.type):
                handler(event, load_event_data(event))
        return WebhookAttempt.Outcome.PROCESSED

    _replace(claims, "lock_claimed", _read_without_lock)
    _replace(event_worker, "_process", effect)
    _disable_batches()


def _mark_after() -> None:
    """Commit the effect before marking as processed."""

    def note_effect(event: WebhookEvent) -> None:
        apart = django_connections.create_connection("default")
        with closing(apart), apart.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_effect (event, lane) VALUES (%s, %s)", [event.external_id, event.lock_key]
            )

    _replace(webhook_handlers, "note_effect", note_effect)


def _no_fence() -> None:
    """Check no fencing token, and lock no row."""
    _replace(event_worker, "BATCH_SECONDS", 60.0)
    _replace(batches, "EFFECT_LIMIT_SECONDS", 60.0)
    _replace(claims, "lock_claimed", _read_without_lock)
    _disable_batches()


def _disable_batches() -> None:
    _replace(batches, "process_batch", lambda batch, until: [])


def _read_without_lock(claim: Claim) -> WebhookEvent | None:
    return WebhookEvent.objects.filter(pk=claim.event_id).select_related("payload").first()


def _no_notification() -> None:
    """No error: as if the process died after each commit, before it notified the workers."""
    _replace(actions, "notify_workers", lambda task, id: None)
    _replace(actions.notifier, "notify", lambda event_id: None)


def _short_effect_limit() -> None:
    """No error: end a handler that never returns sooner, so that the test waits less."""
    _replace(batches, "EFFECT_LIMIT_SECONDS", 1.0)


def _alarm() -> None:
    """Interrupt long effects by an asynchronous exception, and go on with the same connection after failures."""

    @contextmanager
    def alarmed(seconds: float) -> Iterator[None]:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    _replace(batches, "hard_time_limit", alarmed)
    _replace(event_worker, "hard_time_limit", alarmed)
    _replace(connections, "discard_connections", lambda: None)
    _replace(connections, "discard_irregular_connections", lambda: False)
    _never_end()


def _interrupt(number: int, frame: object) -> None:
    raise TimedOut("the handler took too long")


def _end_with_connections() -> None:
    """Keep broken connections; the process ends after some failures."""
    _replace(connections, "discard_connections", lambda: None)


def _keep_connections() -> None:
    """Keep broken connections, and never end."""
    _replace(connections, "discard_connections", lambda: None)
    _never_end()


def _never_end() -> None:
    _replace(worker_processes, "MAX_CONSECUTIVE_FAILURES", 10**9)


def _wait_for_ever() -> None:
    """Wait for the database's answers without a limit."""
    settings.DATABASES["default"]["OPTIONS"]["pool"]["connection_class"].answer_timeout_seconds = 600.0
    _replace(batches, "EFFECT_LIMIT_SECONDS", 600.0)


def _end_with_the_broker() -> None:
    """End the worker when the broker refuses a connection, Celery's default."""
    settings.CELERY_BROKER_CHANNEL_ERROR_RETRY = False


def _believe_the_clock() -> None:
    """Believe a claimed slot of the schedule, however far ahead it lies."""
    _replace(beat_scheduler, "MAX_AHEAD", timedelta(days=10_000))


def _claim_nothing() -> None:
    """Let each beat send what is due, without a claim."""
    _replace(beat_scheduler, "claim_slot", lambda row, slot: True)


def _clock_ahead() -> None:
    """Set the process's clock ten minutes ahead."""
    time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)).start()


_FAULTS: dict[str, Callable[[], None]] = {
    "mark first": _mark_first,
    "mark after": _mark_after,
    "no fence": _no_fence,
    "no notification": _no_notification,
    "short effect limit": _short_effect_limit,
    "alarm": _alarm,
    "keep connections": _keep_connections,
    "end with connections": _end_with_connections,
    "wait for ever": _wait_for_ever,
    "end with the broker": _end_with_the_broker,
    "believe the clock": _believe_the_clock,
    "claim nothing": _claim_nothing,
    "clock ahead": _clock_ahead,
}
