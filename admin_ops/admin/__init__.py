"""Django admin for staff, at /admin/: every table, read-only, and the staff actions of ``admin_ops.actions``."""

from django.conf import settings

from admin_ops.admin.site import admin_site
from admin_ops.admin.tables import accounts, audit_admin, impersonations, teams, users, webhook_events

if settings.BILLING:
    from admin_ops.admin.tables import billing  # noqa: F401  (registers its tables)

__all__ = ["accounts", "admin_site", "audit_admin", "impersonations", "teams", "users", "webhook_events"]
