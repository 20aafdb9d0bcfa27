"""Django admin for staff, at /admin/: every table to look at, and a few actions with a reason.

Nothing is edited here. Whatever changes something is an action of the domain, as over the API.
"""

from admin_ops.admin import accounts, billing, events, impersonations, people, records, teams
from admin_ops.admin.site import desk

__all__ = ["accounts", "billing", "desk", "events", "impersonations", "people", "records", "teams"]
