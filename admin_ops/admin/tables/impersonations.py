"""Impersonations, and the page that opens what the customer sees."""

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from admin_ops.actions.impersonations import is_running
from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.csp import policy_with_forms_to
from admin_ops.admin.permissions import request_permissions, staff_session
from admin_ops.admin.recent_login import password_step
from admin_ops.admin.site import admin_site
from admin_ops.offers import offers_of
from saas.accounts.models import Impersonation
from saas.accounts.staff import impersonation_views
from saas.accounts.staff.staff_roles import StaffPermission

ENDED, RUNNING = "ended", "running"


@admin.register(Impersonation, site=admin_site)
class ImpersonationAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "No member of staff has looked at the product as a customer. “See what they see” on a customer’s page begins it."
    list_display = ("customer", "staff", "state", "reason", "started_at", "ends_at")
    list_display_links = ("customer",)
    search_fields = ("=id", "=ticket", "session__user__email", "staff_session__user__email")
    ordering = ("-started_at",)
    fields = (
        "id", "customer", "staff", "reason", "ticket", "may_write", "started_at", "ends_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    def heading(self, row: Impersonation) -> str:
        return f"{self.staff(row)} as {self.customer(row)}"

    def sentence_of(self, row: Impersonation) -> str:
        how = "reading and writing" if row.may_write else "reading only"
        return f"They saw the customer’s pages, {how}, because: {row.reason}. Each page is in the audit trail."

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
        view = self.admin_site.admin_view(self.opening_page)
        return [
            path("<str:object_id>/impersonated-view/", view, name="accounts_impersonation_view"),
            *super().get_urls(),
        ]

    def opening_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form that opens the customer's pages, only for the member of staff who started the impersonation, from the
        same login: the view is in their name, too. A login older than five minutes confirms the password first."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if (mine := staff_session(request)) is None or row.staff_session_id != mine.pk:
            raise PermissionDenied
        opens = is_running(row) and settings.FRONT_PAGES
        step = password_step(request) if opens else None
        context = {
            **self.admin_site.each_context(request),
            "title": "What they see",
            "opts": self.opts,
            "row": row,
            "is_running": is_running(row),
            "has_pages": settings.FRONT_PAGES,
            "code": impersonation_views.issue_view_code(row) if opens and step is None else "",
            "opens_now": request.GET.get("open") == "now",
            "form": step.form if step else None,
            "product": settings.FRONTEND_BASE_URL,
            "available_actions": offers_of(row, request_permissions(request)),
        }
        answer = TemplateResponse(request, "admin_ops/impersonated_view.html", context)
        answer.headers["Content-Security-Policy"] = policy_with_forms_to(settings.FRONTEND_BASE_URL)
        return answer
