"""The operator API: list events, show one, replay, statistics."""

import base64
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pagination import paginate
from saas.api.representation import represent, represent_all
from saas.api.views import StaffView
from saas.errors import NotFound
from saas.webhook_events import actions, replays
from saas.webhook_events.actions import PayloadExpired, ReplayEnded, ReplayRunning
from saas.webhook_events.envelope import Unreadable, read_event
from saas.webhook_events.models import ReplayBatch, WebhookEvent, WebhookPayload
from saas.webhook_events.monitoring.statistics import inbox_statistics
from webhooks import serializers as shapes
from webhooks.permissions import IsOperator

NEWEST = 100  # attempts and repeats that a detail page shows
OPEN_API_ACTOR = "local-operator"  # in the audit trail: a caller of the open operator API


class OperatorView(StaffView):
    permission_classes = (IsOperator,)  # type: ignore[assignment]

    @property
    def actor(self) -> str:
        return str(self.user.pk) if self.user.is_authenticated else OPEN_API_ACTOR


class LogsView(OperatorView):
    """Events, newest first."""

    @extend_schema(
        operation_id="webhook_logs",
        summary="List the events",
        parameters=[shapes.LogsQuery],
        responses=shapes.LogsShape,
        tags=["operators"],
    )
    def get(self, request: Request) -> Response:
        conditions = self.query(shapes.LogsQuery)
        cursor, limit = conditions.pop("cursor"), conditions.pop("limit")
        page = paginate(WebhookEvent.objects.matching(**conditions), cursor=cursor, limit=limit)
        meta = page.meta
        total = meta.pop("count")
        return Response({"items": [_event(row) for row in page.items], "total": total, **meta})


class LogView(OperatorView):
    """One event: its bytes, the headers kept, every attempt, and what came again."""

    @extend_schema(
        operation_id="webhook_log", summary="Get an event", responses=shapes.EventDetailShape, tags=["operators"]
    )
    def get(self, request: Request, event_id: str) -> Response:
        event = WebhookEvent.objects.by_external_ids([event_id]).select_related("payload").first()
        if event is None:
            raise NotFound("Webhook event not found")
        payload: WebhookPayload | None = getattr(event, "payload", None)
        try:
            parsed = read_event(bytes(payload.body)) if payload else None
        except Unreadable:
            parsed = None
        detail = _event(
            event,
            shapes.EventDetailShape,
            payload=parsed,
            body_base64=base64.b64encode(payload.body).decode() if payload else None,
            headers=payload.headers if payload else {},
            attempt_log=represent_all(shapes.AttemptShape, event.attempt_log.order_by("-number")[:NEWEST]),
            repeats=represent_all(shapes.RepeatShape, event.repeats.order_by("-id")[:NEWEST]),
        )
        return Response(detail)


def _event(row: WebhookEvent, shape: type[shapes.EventShape] = shapes.EventShape, **values: Any) -> dict[str, Any]:
    next_attempt_at = row.next_attempt_at if row.status in WebhookEvent.WAITING else None
    metadata = represent(shapes.EventMetadataShape, row, next_attempt_at=next_attempt_at)
    return represent(shape, row, last_error=row.last_error or None, metadata=metadata, **values)


class BulkReplaysView(OperatorView):
    """Have every matching event run once more, paced behind live traffic. ``dry_run`` says which these would be."""

    @extend_schema(
        operation_id="webhook_replay_many",
        summary="Replay every matching event",
        request=shapes.BulkReplayBody,
        responses={200: shapes.ReplayPreviewShape, 202: shapes.BulkReplayShape, **problem_responses(ReplayRunning)},
        tags=["operators"],
    )
    def post(self, request: Request) -> Response:
        conditions = self.body(shapes.BulkReplayBody)
        dry_run, reason = conditions.pop("dry_run"), conditions.pop("reason")
        if dry_run:
            preview = replays.preview_replay(conditions)
            samples = [_event(row) for row in preview.samples]
            return Response(represent(shapes.ReplayPreviewShape, preview, dry_run=True, samples=samples))
        batch = actions.start_bulk_replay(conditions, by=self.actor, reason=reason)
        return Response({"status": "replay_accepted", **_batch(batch)}, status=202)


class BulkReplayView(OperatorView):
    @extend_schema(
        operation_id="webhook_bulk_replay",
        summary="How a bulk replay stands",
        responses=shapes.BatchShape,
        tags=["operators"],
    )
    def get(self, request: Request, batch_id: str) -> Response:
        batch = ReplayBatch.objects.filter(pk=batch_id).first()
        if batch is None:
            raise NotFound("There is no such bulk replay.")
        return Response(_batch(batch))


def _batch(batch: ReplayBatch) -> dict[str, Any]:
    return {"batch": represent(shapes.ReplayBatchShape, batch)}


class CancelBulkReplayView(OperatorView):
    @extend_schema(
        operation_id="webhook_bulk_replay_cancel",
        summary="Cancel a bulk replay",
        request=None,
        responses={200: shapes.BatchShape, **problem_responses(ReplayEnded)},
        tags=["operators"],
    )
    def post(self, request: Request, batch_id: str) -> Response:
        return Response(_batch(actions.cancel_bulk_replay(batch_id, by=self.actor)))


@extend_schema_view(post=extend_schema(operation_id="webhook_replay_cancel", deprecated=True))
class DeprecatedCancelView(CancelBulkReplayView):
    """Deprecated: use ``POST /api/webhooks/replays/{batch_id}/cancel``."""


class ReplayView(BulkReplayView):
    """``POST`` with an event's id: it runs once more, with its original bytes and without asking the provider.

    ``GET`` with the id of a bulk replay is deprecated: use ``GET /api/webhooks/replays/{batch_id}``.
    """

    @extend_schema(
        operation_id="webhook_replay_batch",
        summary="How a bulk replay stands",
        responses=shapes.BatchShape,
        tags=["operators"],
        deprecated=True,
    )
    def get(self, request: Request, event_id: str) -> Response:
        return super().get(request, event_id)

    @extend_schema(
        operation_id="webhook_replay",
        summary="Replay an event",
        request=OptionalBody(shapes.ReplayBody),
        responses={202: shapes.ReplayShape, **problem_responses(PayloadExpired)},
        tags=["operators"],
    )
    def post(self, request: Request, event_id: str) -> Response:
        reason = self.optional_body(shapes.ReplayBody)["reason"]
        event = actions.replay_event(event_id, by=self.actor, reason=reason)
        answer = {"status": "replay_accepted", "event_id": event.external_id, "replay_count": event.replay_count}
        return Response(answer, status=202)


class StatsView(OperatorView):
    """How the inbox is doing."""

    @extend_schema(
        operation_id="webhook_stats", summary="How the inbox is doing", responses=shapes.StatsShape, tags=["operators"]
    )
    def get(self, request: Request) -> Response:
        return Response(represent(shapes.StatsShape, inbox_statistics()))
