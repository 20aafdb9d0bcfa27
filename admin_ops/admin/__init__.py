"""Django admin for staff, at /admin/: every table to look at, and a few actions with a reason.

Nothing is edited here. Whatever changes something is an action of the domain, as over the API.
"""

from django.conf import settings

from admin_ops.admin.site import admin_site
from admin_ops.admin.tables import accounts, audit_admin, impersonations, teams, users, webhook_events

if settings.BILLING:
    from admin_ops.admin.tables import billing  # noqa: F401  (registers its tables)

__all__ = ["accounts", "admin_site", "audit_admin", "impersonations", "teams", "users", "webhook_events"]
