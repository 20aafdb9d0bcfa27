"""Short time limits for the fault suite, and ways of doing it wrong.

A harness that sees no fault in a broken system proves nothing: each wrong way must be caught by the test that a sound
system passes.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import time_machine
from django.db import connections

from saas.tests.faults.effects import webhook_handlers
from saas.webhook_events import actions, claims, processing, together
from saas.webhook_events.claims import Claim
from saas.webhook_events.envelope import event_data
from saas.webhook_events.models import WebhookAttempt, WebhookEvent
from saas.webhook_events.registry import handlers_of

VISIBILITY_SECONDS = 2.0


def apply(fault: str) -> None:
    """To this process, for good."""
    claims.VISIBILITY = timedelta(seconds=VISIBILITY_SECONDS)
    claims.BATCH_SIZE = 25  # so that each of a few workers has some
    processing.BATCH_SECONDS = 0.5
    processing.EFFECT_SECONDS = 1.4
    if fault:
        _FAULTS[fault]()


def _mark_first() -> None:
    """Says "processed", commits, and acts afterwards."""

    def effect(claim: Claim) -> WebhookAttempt.Outcome | None:
        event = claims.held(claim)
        if event:
            claims.settle(claim, WebhookAttempt.Outcome.PROCESSED, status=WebhookEvent.Status.PROCESSED)
            for handler in handlers_of(event.type):
                handler(event, event_data(event))
        return WebhookAttempt.Outcome.PROCESSED

    claims.held = _unguarded
    processing._effect = effect
    _keep_no_company()


def _mark_after() -> None:
    """Acts, commits the effect, and says "processed" afterwards."""

    def note_effect(event: WebhookEvent) -> None:
        apart = connections.create_connection("default")
        with closing(apart), apart.cursor() as cursor:
            cursor.execute("INSERT INTO fault_effect (event, lane) VALUES (%s, %s)", [event.external_id, event.lane])

    webhook_handlers.note_effect = note_effect


def _no_fence() -> None:
    """Never asks whether somebody else took over, and holds no row."""
    processing.BATCH_SECONDS = 60.0
    claims.held = _unguarded
    _keep_no_company()


def _keep_no_company() -> None:
    together.act = lambda batch, until: []


def _unguarded(claim: Claim) -> WebhookEvent | None:
    return WebhookEvent.objects.filter(pk=claim.event_id).select_related("payload").first()


def _no_bell() -> None:
    """Not wrong, but unlucky: as if the process died after each commit, before it could ring."""
    actions.ring = lambda task, id: None
    actions.bell.ring = lambda event_id: None


def _clock_ahead() -> None:
    """Ten minutes."""
    time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)).start()


_FAULTS: dict[str, Callable[[], None]] = {
    "mark first": _mark_first,
    "mark after": _mark_after,
    "no fence": _no_fence,
    "no bell": _no_bell,
    "clock ahead": _clock_ahead,
}
