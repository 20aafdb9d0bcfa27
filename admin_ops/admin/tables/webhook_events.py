"""Webhook events with attempts and payload, and replay batches."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.json_format import format_json
from admin_ops.admin.live_pages import REFRESH_MILLISECONDS
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS, status_color
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing.models import Customer
from saas.webhook_events.envelope import Unreadable, read_event
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookEvent, WebhookPayload

SHOWN = 50


SAVED_FILTERS = [
    ("trouble", "In trouble"),
    ("attention", "Needs attention"),
    ("waiting", "Waiting"),
    ("today", "Last 24 hours"),
]


class SavedFilter(admin.SimpleListFilter):
    """What staff look for every day, each one click."""

    title = "Show"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return SAVED_FILTERS

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> QuerySet[WebhookEvent]:
        events = WebhookEvent.objects.all()
        chosen = {
            "trouble": events.in_trouble(),
            "attention": events.needing_attention(),
            "waiting": events.filter(status__in=WebhookEvent.WAITING),
            "today": events.filter(received_at__gte=timezone.now() - timedelta(days=1)),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(pk__in=chosen.order_by().values("pk"))


@admin.register(WebhookEvent, site=admin_site)
class WebhookEventAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_WEBHOOKS
    empty_text = "The payment provider has sent no event yet."
    list_display = ("type", "external_id", "customer", "state", "received_at", "attempts", "problem")
    list_display_links = ("type",)
    list_filter = (SavedFilter, "status", "source")
    search_fields = ("=external_id", "=object_id", "=customer_id", "^type")
    search_help_text = "Any id, or a type's beginning"
    ordering = ("-id",)
    fields = ("external_id",)
    readonly_fields = fields
    change_form_template = "admin_ops/webhook_event.html"
    list_before_template = "admin_ops/parts/event_filters.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """With whose customer it is about, where that is known here."""
        owners = Customer.objects.exclude(external_id="").filter(external_id=OuterRef("customer_id"))
        named = owners.values(name=Coalesce("user__email", "team__name", "email"))[:1]
        rows: QuerySet[WebhookEvent] = WebhookEvent.objects.annotate(owner_name=Subquery(named))
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        here = request.GET.get(SavedFilter.parameter_name, "")
        shown = {"saved_filters": [("", "All"), *SAVED_FILTERS], "saved_filter": here}
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    @display(description="Customer")
    def customer(self, row: WebhookEvent) -> str:
        return row.owner_name or row.customer_id or "–"  # type: ignore[attr-defined]

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: WebhookEvent) -> str:
        return row.status

    @display(description="Last error")
    def problem(self, row: WebhookEvent) -> str:
        return row.last_error[:60]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        event: WebhookEvent = context["original"]
        context |= {"title": event.type or "Unreadable event", "event": event, "tone": status_color(event.status)}
        context["refresh"] = REFRESH_MILLISECONDS if event.status in event.IN_PROGRESS else ""
        payload = WebhookPayload.objects.filter(event=event).first()
        context |= {
            "payload": _body_text(payload) if payload else "",
            "headers": payload.headers if payload else {},
            "attempts": list(event.attempt_log.order_by("-number")[:SHOWN]),
            "repeats": list(event.repeats.order_by("-pk")[:SHOWN]),
            "people": _users_of(event),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _body_text(payload: WebhookPayload) -> str:
    """Indented JSON; bytes that are no JSON as text."""
    body = bytes(payload.body)
    try:
        return format_json(read_event(body))
    except Unreadable:
        return body.decode("utf-8", "replace")


def _users_of(event: WebhookEvent) -> list[User]:
    """The users who own the event's customer."""
    if not event.customer_id:
        return []
    found = Customer.objects.filter(external_id=event.customer_id).select_related("user", "team__owner")
    return [owner for row in found if (owner := row.user or (row.team.owner if row.team else None))]


@admin.register(WebhookAttempt, site=admin_site)
class WebhookAttemptAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_WEBHOOKS
    empty_text = "No event was processed yet."
    list_display = ("event", "number", "trigger", "state", "worker", "started_at", "finished_at", "error")
    list_filter = ("outcome", "trigger")
    list_select_related = ("event",)
    search_fields = ("=event__external_id",)
    ordering = ("-id",)
    fields = ("event", "number", "trigger", "state", "worker", "started_at", "finished_at", "error")
    readonly_fields = fields

    @display(description="Outcome", label=STATUS_COLORS, ordering="outcome")
    def state(self, row: WebhookAttempt) -> str:
        return row.outcome


@admin.register(ReplayBatch, site=admin_site)
class ReplayBatchAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_WEBHOOKS
    empty_text = "No events were replayed in bulk. The API of Webhooks does it: POST /api/webhooks/replay."
    list_before_template = "admin_ops/parts/live_rows.html"
    list_display = ("id", "stage", "conditions", "matched", "replayed", "reason", "created_at", "finished_at")
    list_filter = ("state",)
    search_fields = ("=id",)
    ordering = ("-id",)
    fields = (
        "id", "stage", "conditions", "matched", "replayed", "skipped", "created_by", "reason", "created_at",
        "finished_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="State", label=STATUS_COLORS, ordering="state")
    def stage(self, row: ReplayBatch) -> str:
        return row.state
