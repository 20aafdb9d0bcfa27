"""Processing stored events again: one, or many in the background.

A bulk replay walks the events by id, a hundred at a time, and only while nothing else is due: live traffic goes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from saas.audit.actions import record
from saas.webhook_events.models import (
    ReplayBatch,
    WebhookAttempt,
    WebhookEvent,
    WebhookEventQuerySet,
    WebhookPayload,
)
from saas.webhook_events.monitoring.statistics import capped_count

STEP = 100
LISTED_SKIPPED = 100
SAMPLES = 5
_TIMES = ("since", "until")

_RUNNING = Exists(WebhookAttempt.objects.filter(event=OuterRef("pk"), outcome=WebhookAttempt.Outcome.RUNNING))
_PAYLOAD = Exists(WebhookPayload.objects.filter(event=OuterRef("pk")))


def requeue(events: WebhookEventQuerySet) -> int:
    """Make events due in a new generation, with a fresh retry budget. Return how many. ``attempts`` is never reset."""
    return events.update(
        status=WebhookEvent.Status.REPLAY_QUEUED,
        generation=F("generation") + 1,
        replay_count=F("replay_count") + 1,
        failures=0,
        crash_count=0,
        next_attempt_at=Now(),
    )


@dataclass(frozen=True)
class ReplayPreview:
    """What a bulk replay would do now. Counts are exact to 10,000."""

    matching: int
    in_flight: int
    samples: list[WebhookEvent]


def preview_replay(conditions: Mapping[str, Any]) -> ReplayPreview:
    """``conditions`` are those of ``WebhookEventQuerySet.matching``."""
    rows = WebhookEvent.objects.matching(**conditions)
    return ReplayPreview(capped_count(rows), capped_count(rows.filter(_RUNNING)), list(rows.order_by("-id")[:SAMPLES]))


def serialize_conditions(conditions: Mapping[str, Any]) -> dict[str, str]:
    """Return conditions as a batch stores them."""
    return {name: value.isoformat() if name in _TIMES else value for name, value in conditions.items()}


@transaction.atomic
def advance_bulk_replay() -> int:
    """Requeue the next events of the running batch. Return how many it read, 0 if there is nothing to do."""
    running = ReplayBatch.objects.filter(state=ReplayBatch.State.RUNNING)
    batch = running.select_for_update(skip_locked=True).first()
    if batch is None:
        return 0
    conditions: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in _TIMES else value for name, value in batch.conditions.items()
    }
    rows = WebhookEvent.objects.matching(**conditions)
    rest = rows.filter(pk__gt=batch.position, pk__lte=batch.last_event_id).order_by("pk")
    ids = list(rest.values_list("pk", flat=True)[:STEP])
    if not ids:
        batch.state = ReplayBatch.State.DONE
        batch.finished_at = timezone.now()
        batch.save(update_fields=["state", "finished_at"])
        record("replay_batch.finished", target=batch.pk, replayed=batch.replayed, skipped=len(batch.skipped))
        return 0
    step = WebhookEvent.objects.filter(pk__in=ids)
    able = list(step.filter(~_RUNNING, _PAYLOAD).values_list("pk", flat=True))
    skipped = step.exclude(pk__in=able).order_by("pk").values_list("external_id", flat=True)
    batch.replayed += requeue(WebhookEvent.objects.filter(pk__in=able))
    batch.skipped = [*batch.skipped, *skipped][:LISTED_SKIPPED]
    batch.position = ids[-1]
    batch.save(update_fields=["replayed", "skipped", "position"])
    return len(ids)
