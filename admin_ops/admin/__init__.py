"""Django admin for staff, at /admin/: every table to look at, and a few actions with a reason.

Nothing is edited here. Whatever changes something is an action of the domain, as over the API.
"""

from django.conf import settings

from admin_ops.admin import accounts, events, impersonations, people, records, teams
from admin_ops.admin.site import desk

if settings.BILLING:
    from admin_ops.admin import billing  # noqa: F401  (registers its tables)

__all__ = ["accounts", "desk", "events", "impersonations", "people", "records", "teams"]
