"""Mails: what was sent to whom, and what became of it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.mail import rendering
from saas.mail.models import Mail


@admin.register(Mail, site=admin_site)
class MailAdmin(StaffActionAdmin):
    """Links that work once are never shown: holding one counts as being the recipient."""

    needs = StaffPermission.READ_USERS
    empty_text = "No mail was sent yet. Each mail to a customer or to staff is listed here."
    list_display = ("recipient", "subject", "state", "attempts", "created_at", "sent_at", "last_error")
    list_filter = ("status",)
    search_fields = ("recipient", "=template")
    search_help_text = "An address, or a template's name"
    ordering = ("-id",)
    fields = ("recipient",)
    readonly_fields = fields
    change_form_template = "admin_ops/mail.html"

    @display(description="Subject", ordering="template")
    def subject(self, row: Mail) -> str:
        return str(rendering.render_without_secrets(row).subject)

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: Mail) -> str:
        return row.status

    def heading(self, row: Mail) -> str:
        return self.subject(row)

    def page_of(self, request: HttpRequest, row: Mail) -> dict[str, Any]:
        message = rendering.render_without_secrets(row)
        return {
            "mail": row,
            "body": message.body,
            "hides_a_link": rendering.uses_secrets(row),
            "person": User.objects.by_email(row.recipient),
        }
