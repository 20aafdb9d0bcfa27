"""Replaying a webhook event."""

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction, Target
from admin_ops.serializers import users as shapes
from admin_ops.status_colors import NEWS
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.representation import represent
from saas.webhook_events.actions import PayloadExpired, replay_event
from saas.webhook_events.models import WebhookEvent, WebhookPayload

WEBHOOK_EVENT = Target(
    WebhookEvent,
    StaffPermission.READ_WEBHOOKS,
    lambda event_id: WebhookEvent.objects.by_external_ids([event_id]).first(),
    not_found="Webhook event not found",
)


def replay(row: WebhookEvent, context: ActionContext, *, reason: str) -> ActionResult:
    event = replay_event(row.external_id, by=context.user.id, reason=reason)
    return ActionResult(f"{row.external_id} will run once more. Look again in a moment.", event)


REPLAY = StaffAction(
    name="replay",
    target=WEBHOOK_EVENT,
    label="Replay",
    icon="replay",
    description="It runs once more with its original bytes. Its handlers check again whether they are due, so an old event "
    "undoes nothing newer.",
    permission=StaffPermission.REPLAY_WEBHOOKS,
    run=replay,
    available_for=lambda row: WebhookPayload.objects.filter(event=row).exists(),
    unavailable=PayloadExpired.title,
    is_bulk=True,
    audit=(AuditLabel("webhook_event.replayed", "Webhook event replayed", NEWS),),
    endpoint=Endpoint(
        path="events/<str:event_id>/replay",
        operation_id="staff_event_replay",
        summary="Replay a webhook event",
        description="It runs once more with its original bytes, in the background; an old event undoes nothing newer.",
        tag="webhooks",
        body=shapes.OptionalReasonBody,
        is_body_optional=True,
        status=202,
        response=shapes.NewEventShape,
        represent=lambda event: {"event": represent(shapes.WebhookEventShape, event)},
        refusals=(PayloadExpired,),
    ),
)
