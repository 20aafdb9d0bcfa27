"""The requests and responses of the Webhooks API."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from saas.api.fields import QueryTimeField, StrictBooleanField, StrictCharField
from saas.api.pagination import PageQuery
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookDelivery, WebhookEvent

REASON_LENGTH = 500


class EventBody(serializers.Serializer[Any]):
    """A provider's event. Read as raw bytes, whatever the content type; the signature covers exactly these."""

    id = serializers.CharField()
    type = serializers.CharField()
    created = serializers.IntegerField(required=False)
    livemode = serializers.BooleanField(required=False)
    data = serializers.DictField()  # type: ignore[assignment]


class ReceiptShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["accepted", "duplicate"])
    event_id = serializers.CharField()
    attempts = serializers.IntegerField(required=False, help_text="Of a duplicate.")
    replay_count = serializers.IntegerField(required=False, help_text="Of a duplicate.")


class EventFilter(serializers.Serializer[Any]):
    """Which events: all conditions together."""

    status = serializers.ChoiceField(WebhookEvent.Status.choices, required=False)
    type = StrictCharField(max_length=255, required=False, help_text="Exact, or with `*` at the end: `customer.*`.")
    since = QueryTimeField(required=False, help_text="Received at or after.")
    until = QueryTimeField(required=False, help_text="Received before.")
    search = StrictCharField(
        max_length=255, required=False, help_text="An event id, an object id, or a part of the type."
    )


class LogsQuery(EventFilter, PageQuery):
    pass


@extend_schema_serializer(component_name="Metadata")
class EventMetadataShape(serializers.Serializer[Any]):
    provider = serializers.CharField()
    source = serializers.ChoiceField(WebhookEvent.Source.choices)  # type: ignore[assignment]
    api_version = serializers.CharField()
    livemode = serializers.BooleanField()
    account = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    customer_id = serializers.CharField()
    created = serializers.DateTimeField(source="provider_created")
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    body_size = serializers.IntegerField()
    body_sha256 = serializers.CharField()
    body_conflict = serializers.BooleanField()


class EventShape(serializers.Serializer[Any]):
    event_id = serializers.CharField(source="external_id")
    event_type = serializers.CharField(source="type")
    status = serializers.ChoiceField(WebhookEvent.Status.choices)
    received_at = serializers.DateTimeField()
    processed_at = serializers.DateTimeField(allow_null=True)
    replay_count = serializers.IntegerField()
    attempts = serializers.IntegerField()
    last_error = serializers.CharField(allow_null=True)
    attention = serializers.CharField(help_text="What of a processed event could not be counted or read; else empty.")
    metadata = EventMetadataShape()


class LogsShape(serializers.Serializer[Any]):
    items = EventShape(many=True)
    total = serializers.IntegerField(help_text="Exact to 10,000.")
    next = serializers.CharField(allow_null=True)
    count_is_exact = serializers.BooleanField(required=False, help_text="`false` where there are more than 10,000.")


class AttemptShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    generation = serializers.IntegerField()
    trigger = serializers.ChoiceField(WebhookAttempt.Trigger.choices)
    outcome = serializers.ChoiceField(WebhookAttempt.Outcome.choices)
    error = serializers.CharField()
    worker = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    milliseconds = serializers.IntegerField(allow_null=True, help_text="From the claim to the end.")


class RepeatShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(WebhookDelivery.Outcome.choices)
    address = serializers.CharField()
    body_sha256 = serializers.CharField()
    body_size = serializers.IntegerField()


class EventDetailShape(EventShape):
    payload = serializers.JSONField(allow_null=True, help_text="null where the body is no JSON, or was deleted.")
    body_base64 = serializers.CharField(allow_null=True, help_text="The exact bytes.")
    headers = serializers.DictField(child=serializers.CharField())
    attempt_log = AttemptShape(many=True)
    repeats = RepeatShape(many=True)


class ReplayBody(serializers.Serializer[Any]):
    reason = StrictCharField(max_length=REASON_LENGTH, required=False, allow_blank=True, default="")


class ReplayShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["replay_accepted"])
    event_id = serializers.CharField()
    replay_count = serializers.IntegerField()


class BulkReplayBody(EventFilter):
    """At least one condition. With ``dry_run`` nothing is replayed: the answer says what would be."""

    dry_run = StrictBooleanField(required=False, default=False)
    reason = StrictCharField(max_length=REASON_LENGTH, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() & EventFilter().fields.keys():
            raise serializers.ValidationError("Give at least one condition: status, type, since, until or search.")
        return attrs


@extend_schema_serializer(component_name="Preview")
class ReplayPreviewShape(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    matching = serializers.IntegerField(help_text="Exact to 10,000.")
    in_flight = serializers.IntegerField(help_text="Being worked on now: these would be skipped.")
    samples = EventShape(many=True)


class ReplayBatchShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.ChoiceField(ReplayBatch.State.choices)
    conditions = serializers.DictField()
    matched = serializers.IntegerField(help_text="When it began; exact to 10,000.")
    replayed = serializers.IntegerField()
    skipped = serializers.ListField(child=serializers.CharField(), help_text="The first hundred event ids.")
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class BulkReplayShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["replay_accepted"])
    batch = ReplayBatchShape()


class BatchShape(serializers.Serializer[Any]):
    batch = ReplayBatchShape()


class LagShape(serializers.Serializer[Any]):
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class StatsShape(serializers.Serializer[Any]):
    by_status = serializers.DictField(child=serializers.IntegerField(), help_text="Each exact to 10,000.")
    due = serializers.IntegerField(help_text="Waiting, and could be acted on now.")
    oldest_due_seconds = serializers.FloatField()
    last_hour = serializers.DictField(child=serializers.IntegerField(), help_text="What came, by what became of it.")
    failure_rate = serializers.FloatField(allow_null=True, help_text="Of the last hour.")
    lag_seconds = LagShape(help_text="From arrival to effect, of the newest thousand.")
    counts_are_exact = serializers.BooleanField()
