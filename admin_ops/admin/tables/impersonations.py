"""Impersonations, and the page that shows what the customer sees."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from admin_ops import impersonated_view
from admin_ops.actions.impersonations import is_running
from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.json_format import format_json
from admin_ops.admin.permissions import staff_session
from admin_ops.admin.site import admin_site
from saas.accounts.models import Impersonation
from saas.accounts.staff.staff_roles import Permission

ENDED, RUNNING = "ended", "running"


@admin.register(Impersonation, site=admin_site)
class ImpersonationAdmin(StaffActionAdmin):
    needs = Permission.READ_USERS
    list_display = ("customer", "staff", "state", "reason", "ticket", "may_write", "started_at", "ends_at")
    list_display_links = ("customer",)
    search_fields = ("=id", "=ticket", "session__user__email", "staff_session__user__email")
    ordering = ("-started_at",)
    fields = (
        "id", "customer", "staff", "state", "reason", "ticket", "may_write", "started_at", "ends_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="Customer")
    def customer(self, row: Impersonation) -> str:
        return str(row.session.user or "–")

    @display(description="By")
    def staff(self, row: Impersonation) -> str:
        return str(row.staff_session.user or "–")

    @display(description="State", label={RUNNING: "warning"})
    def state(self, row: Impersonation) -> str:
        return RUNNING if is_running(row) else ENDED

    def get_queryset(self, request: HttpRequest) -> QuerySet[Impersonation]:
        return Impersonation.objects.listed()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.impersonated_page)
        return [
            path("<str:object_id>/impersonated-view/", view, name="accounts_impersonation_view"),
            *super().get_urls(),
        ]

    def impersonated_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only for the member of staff who started it, from the same login: the token acts in their name, too."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if (mine := staff_session(request)) is None or row.staff_session_id != mine.pk:
            raise PermissionDenied
        view = impersonated_view.get_view(request.GET.get("view", ""))
        response = impersonated_view.request_as_customer(row, view) if is_running(row) else None
        context = {
            **self.admin_site.each_context(request),
            "title": "What they see",
            "opts": self.opts,
            "row": row,
            "views": impersonated_view.VIEWS,
            "view": view,
            "response": response,
            "answer": format_json(response.answer) if response else "",
            "available_actions": self.available_actions(request, row),
        }
        return TemplateResponse(request, "admin_ops/impersonated_view.html", context)
