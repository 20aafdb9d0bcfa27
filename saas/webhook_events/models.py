"""The inbox: every event that a provider sent, its exact bytes, and every attempt to process it.

The row is the queue (decision 1). A Celery message only starts a worker; everything else is decided by the rows.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.db import connection, models
from django.db.models import Expression, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from saas.fields import PrefixedIdField


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self) -> WebhookEventQuerySet:
        """Waiting, due by the database's clock, and not being processed."""
        return self.filter(status__in=WebhookEvent.WAITING, next_attempt_at__lte=Now()).not_running()

    def not_running(self) -> WebhookEventQuerySet:
        """Their newest attempt does not run.

        True also for a row that another claim has changed since the statement began. That claim's attempt is invisible to the
        statement, but the row's number of attempts then differs from the one at the statement's start.
        """
        seen = Subquery(WebhookEvent.objects.filter(pk=OuterRef("pk")).values("attempts"))
        return self.alias(newest=_newest_outcome()).filter(
            Q(attempts=0) | (~Q(newest=WebhookAttempt.Outcome.RUNNING) & Q(attempts=seen))
        )

    def running(self) -> WebhookEventQuerySet:
        """Their newest attempt runs."""
        return self.alias(newest=_newest_outcome()).filter(newest=WebhookAttempt.Outcome.RUNNING)

    def for_object(self, object_id: str | Expression) -> WebhookEventQuerySet:
        """All events of one object with their payloads, in the order of their arrival."""
        return self.filter(object_id=object_id).select_related("payload").order_by("id")

    def by_external_ids(self, external_ids: Collection[str]) -> WebhookEventQuerySet:
        """By the provider's event ids."""
        return self.filter(provider="stripe", external_id__in=external_ids)

    def needing_attention(self) -> WebhookEventQuerySet:
        """Processed, but something of them could not be counted or read; the newest first."""
        return self.exclude(attention="").order_by("-id")

    def in_progress(self) -> WebhookEventQuerySet:
        """Queued, or being processed: what becomes of them shows within seconds."""
        return self.filter(status__in=WebhookEvent.IN_PROGRESS)

    def in_trouble(self) -> WebhookEventQuerySet:
        """They have failed, and have had no effect: permanently, or until they are tried again."""
        status = WebhookEvent.Status
        return self.filter(status__in=[status.FAILED, status.RETRY_SCHEDULED, status.QUARANTINED])

    def matching(
        self,
        *,
        status: str = "",
        type: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        search: str = "",
    ) -> WebhookEventQuerySet:
        """All the given conditions together. ``type`` may end in ``*``; ``search`` is an id or a part of the type."""
        rows = self.filter(status=status) if status else self
        if type:
            rows = rows.filter(type__startswith=type[:-1]) if type.endswith("*") else rows.filter(type=type)
        if since:
            rows = rows.filter(received_at__gte=since)
        if until:
            rows = rows.filter(received_at__lt=until)
        if search:
            is_id = Q(provider="stripe", external_id=search) | Q(object_id=search)
            rows = rows.filter(is_id | Q(type__in=_types_with(search)))  # three indexes; LIKE would read the table
        return rows


def _newest_outcome() -> Coalesce:
    """A subquery by the attempt's number: a join is planned for a handful of rows, and compares thousands with thousands."""
    newest = WebhookAttempt.objects.filter(event=OuterRef("pk"), number=OuterRef("attempts"))
    return Coalesce(Subquery(newest.values("outcome")), Value(""))


_TYPES = """
WITH RECURSIVE kinds (type) AS (
    SELECT min(type) FROM webhook_events_webhookevent
    UNION ALL
    SELECT (SELECT min(type) FROM webhook_events_webhookevent WHERE type > kinds.type) FROM kinds
    WHERE kinds.type IS NOT NULL
)
SELECT type FROM kinds WHERE type IS NOT NULL
"""


def _types_with(part: str) -> list[str]:
    """The event types that contain ``part``, in any case. Skips from one type to the next along the index: there are few."""
    with connection.cursor() as cursor:
        cursor.execute(_TYPES)
        return [kind for (kind,) in cursor.fetchall() if part.lower() in kind.lower()]


class WebhookEvent(models.Model):
    """One event of a provider. ``attempts`` only grows: it is the fencing token of the worker that has the event."""

    class Status(models.TextChoices):
        QUEUED = "queued"  # stored, due now
        RETRY_SCHEDULED = "retry_scheduled"  # due at next_attempt_at
        REPLAY_QUEUED = "replay_queued"
        PROCESSED = "processed"
        FAILED = "failed"  # dead letter: retries spent, permanent failure, or too many crashes
        IGNORED = "ignored"  # no handler, another account, the other mode
        QUARANTINED = "quarantined"  # signed, but not readable as an event

    IN_PROGRESS: ClassVar[list[str]] = [Status.QUEUED, Status.REPLAY_QUEUED]
    WAITING: ClassVar[list[str]] = [Status.QUEUED, Status.RETRY_SCHEDULED, Status.REPLAY_QUEUED]

    class Source(models.TextChoices):
        DELIVERY = "delivery"  # the provider posted it
        FETCH = "fetch"  # we asked the provider
        LOCAL = "local"  # the local provider

    provider = models.CharField(max_length=32, default="stripe")
    external_id = models.CharField(max_length=255)
    type = models.CharField(max_length=255, blank=True)
    api_version = models.CharField(max_length=64, blank=True)
    livemode = models.BooleanField(default=False)
    account = models.CharField(max_length=255, blank=True)
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=255, blank=True)
    customer_id = models.CharField(max_length=255, blank=True)  # the provider's customer that the object belongs to
    provider_created = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    body_sha256 = models.CharField(max_length=64)
    body_size = models.PositiveIntegerField()
    source = models.CharField(max_length=16, choices=Source, default=Source.DELIVERY)

    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # of this generation: what the retry budget counts
    # Of this generation. After one crash the event is claimed alone.
    crash_count = models.PositiveIntegerField(default=0, db_column="losses")
    generation = models.PositiveIntegerField(default=0)  # grows with each replay
    replay_count = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=1000, blank=True)
    # Processed, and something of it could not be counted or read: what, in a sentence. Set by handlers.
    attention = models.CharField(max_length=500, blank=True, default="", db_default="")
    body_conflict = models.BooleanField(default=False)  # the same id came again with other bytes

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["provider", "external_id"], name="an_event_is_stored_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status__in=["queued", "retry_scheduled", "replay_queued"]),
                name="webhook_events_due",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status__in=["queued", "retry_scheduled", "replay_queued"], crash_count__gt=0),
                name="webhook_events_suspect",
            ),
            models.Index(fields=["object_id", "id"], name="webhook_events_of_object"),
            models.Index(fields=["customer_id", "id"], name="webhook_events_of_customer"),
            models.Index(fields=["status", "id"], name="webhook_events_by_status"),
            models.Index(fields=["type", "id"], name="webhook_events_by_type"),
            models.Index(fields=["id"], condition=~Q(attention=""), name="webhook_events_to_look_at"),
            models.Index(fields=["received_at", "status"], name="webhook_events_by_arrival"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"

    @property
    def handled_type(self) -> str:
        """Its type as handlers name it."""
        return handled_type(self.type)

    @property
    def lock_key(self) -> str:
        """Events with the same key are processed one after the other: the customer's, else the object's."""
        return self.customer_id or self.object_id or self.external_id


def handled_type(type: str) -> str:
    """An event's type as handlers name it: thin events (API v2) about an object of API v1 put ``v1.`` before it."""
    return type.removeprefix("v1.")


class WebhookPayload(models.Model):
    """The exact bytes, in a table of their own, so that retention can delete them and keep the events."""

    event = models.OneToOneField(WebhookEvent, models.CASCADE, primary_key=True, related_name="payload")
    body = models.BinaryField()
    headers = models.JSONField(default=dict)  # the few that are worth keeping; never the signature's secret


class WebhookAttempt(models.Model):
    """One try to process an event. A crash leaves it ``running``; the sweep then marks it ``lost``."""

    class Trigger(models.TextChoices):
        DELIVERY = "delivery"
        SWEEP = "sweep"
        REPLAY = "replay"

    class Outcome(models.TextChoices):
        RUNNING = "running"
        PROCESSED = "processed"
        IGNORED = "ignored"
        FAILED = "failed"
        POSTPONED = "postponed"  # its customer was locked: not a failure
        LOST = "lost"

    # Found along the unique index below.
    event = models.ForeignKey(WebhookEvent, models.CASCADE, related_name="attempt_log", db_index=False)
    number = models.PositiveIntegerField()  # the event's ``attempts`` when it was claimed
    generation = models.PositiveIntegerField(default=0)
    trigger = models.CharField(max_length=16, choices=Trigger)
    solo = models.BooleanField(default=True)  # claimed alone: a crash is then this event's fault
    worker = models.CharField(max_length=100)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.RUNNING)
    error = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["event", "number"], name="an_attempt_has_its_own_number")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["started_at"], condition=Q(outcome="running"), name="webhook_attempts_running")
        ]

    @property
    def milliseconds(self) -> int | None:
        """From the claim to the end, by the database's clock; None while it runs."""
        return round((self.finished_at - self.started_at).total_seconds() * 1000) if self.finished_at else None


class WebhookDelivery(models.Model):
    """A delivery that stored no event: a repeat or a refusal."""

    class Outcome(models.TextChoices):
        DUPLICATE = "duplicate"
        BAD_SIGNATURE = "bad_signature"
        STALE = "stale"
        MALFORMED = "malformed"
        TOO_LARGE = "too_large"

    at = models.DateTimeField(db_default=Now(), db_index=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    event = models.ForeignKey(WebhookEvent, models.CASCADE, null=True, related_name="repeats")
    address = models.CharField(max_length=45, blank=True)
    body_sha256 = models.CharField(max_length=64, blank=True)
    body_size = models.PositiveIntegerField(default=0)


class ReplayBatch(models.Model):
    """A bulk replay: its conditions, its reason and its progress. Events that arrive later are not part of it."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELED = "canceled"

    id = PrefixedIdField(prefix="rpl", primary_key=True)
    conditions = models.JSONField(default=dict)  # of WebhookEventQuerySet.matching, times in ISO form
    last_event_id = models.BigIntegerField()  # the newest event when it was made
    position = models.BigIntegerField(default=0)  # the last event read
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    matched = models.PositiveIntegerField(default=0)  # exact to 10,000
    replayed = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=list)  # ids of events that were being processed, or whose payload was deleted
    created_by = models.CharField(max_length=64)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="running"), name="one_replay_batch_runs_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return self.id


class WebhookTally(models.Model):
    """A counter of all processes together, which a restart must not reset."""

    name = models.CharField(max_length=32, primary_key=True)
    value = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class WebhookAlert(models.Model):
    """Something is wrong with the inbox now."""

    kind = models.CharField(max_length=32, primary_key=True)
    what = models.CharField(max_length=300)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "webhook_events_webhookalarm"  # its name before the class was called after what it is

    def __str__(self) -> str:
        return self.kind
