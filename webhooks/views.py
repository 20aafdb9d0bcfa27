"""The operator API: what came, what became of it, and once more."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pagination import paginate
from saas.api.views import StaffView
from saas.errors import NotFound
from saas.webhook_events import actions
from saas.webhook_events.actions import PayloadExpired, ReplayEnded, ReplayRunning
from saas.webhook_events.models import ReplayBatch, WebhookEvent
from saas.webhook_events.monitoring.statistics import inbox_statistics
from saas.webhook_events.replays import preview_replay
from webhooks import representations as show
from webhooks import serializers as shapes
from webhooks.permissions import IsOperator

NEWEST = 100  # attempts and repeats that a detail page shows
OPEN_API_ACTOR = "local-operator"  # the audit trail's name for whoever uses the open operator API


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
        return Response({"items": [show.event(row) for row in page.items], "total": total, **meta})


class LogView(OperatorView):
    """One event: its bytes, the headers kept, every attempt, and what came again."""

    @extend_schema(
        operation_id="webhook_log", summary="Get an event", responses=shapes.EventDetailShape, tags=["operators"]
    )
    def get(self, request: Request, event_id: str) -> Response:
        event = WebhookEvent.objects.by_external_ids([event_id]).select_related("payload").first()
        if event is None:
            raise NotFound("Webhook event not found")
        attempts = list(event.attempt_log.order_by("-number")[:NEWEST])
        repeats = list(event.repeats.order_by("-id")[:NEWEST])
        return Response(show.event_detail(event, getattr(event, "payload", None), attempts, repeats))


class ReplayView(OperatorView):
    """``POST`` with an event's id: it runs once more, with its original bytes and without asking the provider.

    ``GET`` with the id of a bulk replay: how far it is.
    """

    @extend_schema(
        operation_id="webhook_replay_batch",
        summary="How a bulk replay stands",
        responses=shapes.BatchShape,
        tags=["operators"],
    )
    def get(self, request: Request, event_id: str) -> Response:
        batch = ReplayBatch.objects.filter(pk=event_id).first()
        if batch is None:
            raise NotFound("There is no such bulk replay.")
        return Response({"batch": show.batch(batch)})

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


class BulkReplaysView(OperatorView):
    """Have every matching event run once more, paced behind live traffic. ``dry_run`` says which these would be."""

    @extend_schema(
        operation_id="webhook_replay_many",
        summary="Replay every matching event",
        request=shapes.BulkReplayBody,
        responses={200: shapes.PreviewShape, 202: shapes.BulkReplayShape, **problem_responses(ReplayRunning)},
        tags=["operators"],
    )
    def post(self, request: Request) -> Response:
        conditions = self.body(shapes.BulkReplayBody)
        dry_run, reason = conditions.pop("dry_run"), conditions.pop("reason")
        if dry_run:
            return Response(show.preview(preview_replay(conditions)))
        batch = actions.start_bulk_replay(conditions, by=self.actor, reason=reason)
        return Response({"status": "replay_accepted", "batch": show.batch(batch)}, status=202)


class CancelBulkReplayView(OperatorView):
    @extend_schema(
        operation_id="webhook_replay_cancel",
        summary="Cancel a bulk replay",
        request=None,
        responses={200: shapes.BatchShape, **problem_responses(ReplayEnded)},
        tags=["operators"],
    )
    def post(self, request: Request, batch_id: str) -> Response:
        return Response({"batch": show.batch(actions.cancel_bulk_replay(batch_id, by=self.actor))})


class StatsView(OperatorView):
    """How the inbox is doing."""

    @extend_schema(
        operation_id="webhook_stats", summary="How the inbox is doing", responses=shapes.StatsShape, tags=["operators"]
    )
    def get(self, request: Request) -> Response:
        return Response(show.stats(inbox_statistics()))
