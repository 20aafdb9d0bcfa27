"""Webhook events, as far as support needs them; the operator API of Webhooks has the rest."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import representations as show
from admin_ops.serializers import users as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import Permission
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.errors import NotFound
from saas.webhook_events import actions
from saas.webhook_events.actions import PayloadExpired
from saas.webhook_events.models import WebhookEvent


class EventReplayView(AdminApiView):
    """It runs once more with its original bytes, in the background; an old event undoes nothing newer."""

    needs = Permission.READ_WEBHOOKS

    @extend_schema(
        operation_id="staff_event_replay",
        summary="Replay a webhook event",
        request=OptionalBody(shapes.OptionalReasonBody),
        responses={202: shapes.NewEventShape, **problem_responses(PayloadExpired)},
        tags=["webhooks"],
    )
    def post(self, request: Request, event_id: str) -> Response:
        if not WebhookEvent.objects.by_external_ids([event_id]).exists():
            raise NotFound("Webhook event not found")
        self.require(Permission.REPLAY_WEBHOOKS)
        event = actions.replay_event(event_id, by=self.user.id, reason=self.reason())
        return Response({"event": show.webhook_event(event)}, status=202)
