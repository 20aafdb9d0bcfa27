"""Short time limits for the fault suite, and ways of doing it wrong.

A harness that sees no fault in a broken system proves nothing: each wrong way must be caught by the test that a sound
system passes.
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


def inject_fault(fault: str) -> None:
    """To this process, for good."""
    claims.VISIBILITY_TIMEOUT = timedelta(seconds=VISIBILITY_SECONDS)
    claims.BATCH_SIZE = 25  # so that each of a few workers has some
    event_worker.BATCH_SECONDS = 0.5
    checks.SILENCE_MAX_AGE = timedelta(seconds=3)
    worker_processes.HEARTBEAT_SECONDS = 0.5
    worker_processes.MIN_FAILING_SECONDS = 2.0
    batches.EFFECT_LIMIT_SECONDS = 6.0  # as in production longer than anybody waits for the database: 5 s here
    if fault:
        _FAULTS[fault]()


def _mark_first() -> None:
    """Says "processed", commits, and acts afterwards."""

    def effect(claim: Claim) -> WebhookAttempt.Outcome | None:
        event = claims.lock_claimed(claim)
        if event:
            claims.finish_attempt(claim, WebhookAttempt.Outcome.PROCESSED, status=WebhookEvent.Status.PROCESSED)
            for handler in handlers_for(event.type):
                handler(event, load_event_data(event))
        return WebhookAttempt.Outcome.PROCESSED

    claims.lock_claimed = _unguarded
    event_worker._effect = effect
    _keep_no_company()


def _mark_after() -> None:
    """Acts, commits the effect, and says "processed" afterwards."""

    def note_effect(event: WebhookEvent) -> None:
        apart = django_connections.create_connection("default")
        with closing(apart), apart.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_effect (event, lane) VALUES (%s, %s)", [event.external_id, event.lock_key]
            )

    webhook_handlers.note_effect = note_effect


def _no_fence() -> None:
    """Never asks whether somebody else took over, and holds no row."""
    event_worker.BATCH_SECONDS = batches.EFFECT_LIMIT_SECONDS = 60.0
    claims.lock_claimed = _unguarded
    _keep_no_company()


def _keep_no_company() -> None:
    batches.process_batch = lambda batch, until: []


def _unguarded(claim: Claim) -> WebhookEvent | None:
    return WebhookEvent.objects.filter(pk=claim.event_id).select_related("payload").first()


def _no_bell() -> None:
    """Not wrong, but unlucky: as if the process died after each commit, before it could ring."""
    actions.notify_workers = lambda task, id: None
    actions.notifier.notify = lambda event_id: None


def _hasty() -> None:
    """Not wrong: a handler that never returns is ended sooner, so that the test waits less."""
    batches.EFFECT_LIMIT_SECONDS = 1.0


def _alarm() -> None:
    """Interrupts what takes long by an exception out of nowhere, and goes on whatever fails with the connection it has."""

    @contextmanager
    def alarmed(seconds: float) -> Iterator[None]:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    batches.hard_time_limit = event_worker.hard_time_limit = alarmed
    connections.discard_connections = lambda: None
    connections.discard_irregular_connections = lambda: False
    _never_end()


def _interrupt(number: int, frame: object) -> None:
    raise TimedOut("the handler took too long")


def _end_with_connections() -> None:
    """Not healed but by its own end."""
    connections.discard_connections = lambda: None


def _keep_connections() -> None:
    """Whatever they said."""
    connections.discard_connections = lambda: None
    _never_end()


def _never_end() -> None:
    worker_processes.MAX_CONSECUTIVE_FAILURES = 10**9


def _wait_for_ever() -> None:
    """For the database's answer."""
    settings.DATABASES["default"]["OPTIONS"]["pool"]["connection_class"].answer_timeout_seconds = 600.0
    batches.EFFECT_LIMIT_SECONDS = 600.0


def _end_with_the_broker() -> None:
    """A broker that refuses ends the worker, as Celery has it by default."""
    settings.CELERY_BROKER_CHANNEL_ERROR_RETRY = False


def _believe_the_clock() -> None:
    """A slot that was claimed is claimed, however far ahead it lies."""
    beat_scheduler.MAX_AHEAD = timedelta(days=10_000)


def _claim_nothing() -> None:
    """Each beat sends what is due."""
    beat_scheduler.claim_slot = lambda row, slot: True


def _clock_ahead() -> None:
    """Ten minutes."""
    time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)).start()


_FAULTS: dict[str, Callable[[], None]] = {
    "mark first": _mark_first,
    "mark after": _mark_after,
    "no fence": _no_fence,
    "no bell": _no_bell,
    "hasty": _hasty,
    "alarm": _alarm,
    "keep connections": _keep_connections,
    "end with connections": _end_with_connections,
    "wait for ever": _wait_for_ever,
    "end with the broker": _end_with_the_broker,
    "believe the clock": _believe_the_clock,
    "claim nothing": _claim_nothing,
    "clock ahead": _clock_ahead,
}
