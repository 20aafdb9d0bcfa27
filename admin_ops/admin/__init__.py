"""Django admin for staff, at /admin/: every table, read-only, and the staff actions of ``admin_ops.actions``."""

from django.conf import settings

from admin_ops.admin.site import admin_site
from admin_ops.admin.tables import accounts, audit_admin, impersonations, mails, users, webhook_events
from saas.operations.app_discovery import added_module_files

if settings.TEAMS:
    from admin_ops.admin.tables import teams  # noqa: F401
if settings.BILLING:
    from admin_ops.admin.tables import billing, catalogue  # noqa: F401  (register their tables)

tuple(added_module_files("admin_ops", "tables"))  # registers their tables

__all__ = ["accounts", "admin_site", "audit_admin", "impersonations", "mails", "users", "webhook_events"]
