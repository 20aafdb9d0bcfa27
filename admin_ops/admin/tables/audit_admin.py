"""Audit events and heartbeats."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.json_format import format_json
from admin_ops.admin.site import admin_site
from admin_ops.entry_labels import label_audit_event
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.audit.models import AuditEvent
from saas.operations.models import Heartbeat


@admin.register(AuditEvent, site=admin_site)
class AuditEventAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_AUDIT
    empty_text = "Nothing has happened yet."
    list_display = ("at", "sentence", "who", "whom", "reason", "action")
    list_display_links = ("at",)
    search_fields = ("=actor", "=target", "=act_as", "^action", "=request_id")
    search_help_text = "Any id, or an action's beginning"
    ordering = ("-id",)
    fields = ("at", "actor", "act_as", "action", "target", "reason", "address", "request_id")
    readonly_fields = fields
    change_form_template = "admin_ops/audit_event.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """With the e-mail addresses of actor and target, where these are users."""
        rows: QuerySet[AuditEvent] = AuditEvent.objects.annotate(
            actor_email=Subquery(User.objects.filter(pk=OuterRef("actor")).values("email")),
            target_email=Subquery(User.objects.filter(pk=OuterRef("target")).values("email")),
        )
        return rows

    @display(description="What happened", ordering="action")
    def sentence(self, row: AuditEvent) -> str:
        return label_audit_event(row).title

    @display(description="Who")
    def who(self, row: AuditEvent) -> str:
        return row.actor_email or row.actor  # type: ignore[attr-defined]

    @display(description="Whom or what")
    def whom(self, row: AuditEvent) -> str:
        return row.target_email or row.target  # type: ignore[attr-defined]

    def heading(self, row: AuditEvent) -> str:
        return label_audit_event(row).title

    def page_of(self, request: HttpRequest, row: AuditEvent) -> dict[str, Any]:
        people = User.objects.filter(pk__in={row.actor, row.target, row.act_as})
        return {"label": label_audit_event(row), "people": list(people), "details": format_json(row.data)}


@admin.register(Heartbeat, site=admin_site)
class HeartbeatAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_METRICS
    list_display = ("name", "at")
    fields = ("name", "at")
    readonly_fields = fields

    def sentence_of(self, row: Heartbeat) -> str:
        return "A process that says every few seconds that it is alive; when it did so last stands below."
