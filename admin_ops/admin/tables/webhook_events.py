"""Webhook events with attempts and payload, and replay batches."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.json_format import format_json
from admin_ops.admin.live_pages import REFRESH_MILLISECONDS
from admin_ops.admin.site import admin_site
from admin_ops.event_sentences import event_sentence
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
    list_display = ("what", "external_id", "customer", "state", "received_at", "tries", "problem")
    list_display_links = ("what",)
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

    @display(description="What happened", ordering="type")
    def what(self, row: WebhookEvent) -> str:
        """With the type behind, as programs call it."""
        return format_html('{}<span class="ops-quiet ops-mono ops-cut">{}</span>', event_sentence(row.type), row.type)

    @display(description="Customer")
    def customer(self, row: WebhookEvent) -> str:
        return row.owner_name or row.customer_id or "–"  # type: ignore[attr-defined]

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: WebhookEvent) -> str:
        return row.status

    @display(description="Tries", ordering="attempts")
    def tries(self, row: WebhookEvent) -> int:
        return row.attempts

    @display(description="Last error")
    def problem(self, row: WebhookEvent) -> str:
        return row.last_error[:60]

    def heading(self, row: WebhookEvent) -> str:
        return event_sentence(row.type)

    def page_of(self, request: HttpRequest, row: WebhookEvent) -> dict[str, Any]:
        payload = WebhookPayload.objects.filter(event=row).first()
        return {
            "event": row,
            "tone": status_color(row.status),
            "refresh": REFRESH_MILLISECONDS if row.status in row.IN_PROGRESS else "",
            "payload": _body_text(payload) if payload else "",
            "headers": payload.headers if payload else {},
            "attempts": list(row.attempt_log.order_by("-number")[:SHOWN]),
            "repeats": list(row.repeats.order_by("-pk")[:SHOWN]),
            "people": _users_of(row),
        }


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
    list_display = ("what", "number", "trigger", "state", "started_at", "finished_at", "error")
    list_filter = ("outcome", "trigger")
    list_select_related = ("event",)
    search_fields = ("=event__external_id",)
    ordering = ("-id",)
    fields = ("event", "number", "trigger", "worker", "started_at", "finished_at", "error")
    readonly_fields = fields

    def heading(self, row: WebhookAttempt) -> str:
        return f"Attempt {row.number}: {event_sentence(row.event.type)}"

    def sentence_of(self, row: WebhookAttempt) -> str:
        return "The event’s page has all of its attempts, and replays it."

    @display(description="Event")
    def what(self, row: WebhookAttempt) -> str:
        return event_sentence(row.event.type)

    @display(description="Outcome", label=STATUS_COLORS, ordering="outcome")
    def state(self, row: WebhookAttempt) -> str:
        return row.outcome


@admin.register(ReplayBatch, site=admin_site)
class ReplayBatchAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_WEBHOOKS
    empty_text = "No events were replayed in bulk. The API of Webhooks does it: POST /api/webhooks/replay."
    list_before_template = "admin_ops/parts/live_rows.html"
    list_display = ("created_at", "stage", "conditions", "matched", "replayed", "reason", "finished_at")
    list_filter = ("state",)
    search_fields = ("=id",)
    ordering = ("-id",)
    fields = (
        "id", "conditions", "matched", "replayed", "skipped", "by", "reason", "created_at",
        "finished_at",
    )  # fmt: skip
    readonly_fields = fields

    def heading(self, row: ReplayBatch) -> str:
        return f"Replay of {row.created_at:%-d %b %Y %H:%M} UTC"

    def sentence_of(self, row: ReplayBatch) -> str:
        done = f"{row.replayed} of {row.matched} events were replayed"
        return f"{done}; {len(row.skipped)} were left out, being processed or without their payload."

    @display(description="By")
    def by(self, row: ReplayBatch) -> str:
        return str(User.objects.filter(pk=row.created_by).first() or row.created_by)

    @display(description="State", label=STATUS_COLORS, ordering="state")
    def stage(self, row: ReplayBatch) -> str:
        return row.state
