"""Users: the list, and a page with everything about each."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from admin_ops.actions.impersonations import is_running
from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.live_pages import live_context, money_context, timeline_context
from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.site import admin_site
from admin_ops.offers import offers_of, with_offers
from admin_ops.queries import search_users
from admin_ops.status_colors import STATUS_COLORS
from admin_ops.timeline import build_timeline
from saas.accounts.models import Impersonation, LoginSession, Profile, Totp, User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import entitlements
from saas.billing.alarms import alarms_of_user
from saas.billing.models import Customer
from saas.mail import rendering
from saas.mail.models import Mail
from saas.teams.models import Membership

KINDS = {
    "": "Everything", "account": "Account", "money": "Money", "webhook": "Webhooks", "mail": "Mails",
    "staff": "Staff", "note": "Notes",
}.items()  # fmt: skip
SHOWN = 8  # of each kind at the side; longer lists have pages of their own
MOST_SESSIONS = 100  # an impersonation may be of one that is not among the newest


@admin.register(User, site=admin_site)
class UserAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_USERS
    list_display = ("email", "full_name", "state", "kind", "is_confirmed", "created_at")
    list_filter = ("status", "is_staff")
    search_fields = ("email",)  # shows the field; what is searched says get_search_results
    search_help_text = "E-mail, name, or any id"
    ordering = ("-id",)
    fields = ("id",)
    readonly_fields = fields
    change_form_template = "admin_ops/customer.html"

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: User) -> str:
        return row.status

    @display(description="Kind", label={"staff": "primary"})
    def kind(self, row: User) -> str:
        return "staff" if row.is_staff else "customer"

    @display(description="Verified", boolean=True)
    def is_confirmed(self, row: User) -> bool:
        return row.is_verified

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        term = search_term.strip()
        return (queryset.filter(pk__in=search_users(search=term).values("pk")) if term else queryset), False

    def page_of(self, request: HttpRequest, row: User) -> dict[str, Any]:
        shown = {"title": row.full_name or row.email, "mails": _mails(request, row), **_side(row)}
        running = _running_impersonations(shown["sessions"])
        shown["sessions"] = shown["sessions"][:SHOWN]
        shown["impersonations"] = with_offers(running, request_permissions(request), back=request.get_full_path())
        if settings.BILLING:
            shown |= live_context(request, alarms_of_user(row), Customer.objects.of_user(row))
            shown |= money_context(request, row)
        return shown | timeline_context(request, build_timeline(row), KINDS)


def _running_impersonations(sessions: list[LoginSession]) -> list[Impersonation]:
    """Each has a session of the customer's."""
    found = [getattr(session, "impersonation", None) for session in sessions]
    return [row for row in found if row and is_running(row)]


def _mails(request: HttpRequest, user: User) -> list[dict[str, Any]]:
    permissions, back = request_permissions(request), request.get_full_path()
    return [
        {
            "mail": mail,
            "subject": rendering.render_without_secrets(mail).subject,
            "offers": offers_of(mail, permissions, back=back),
        }
        for mail in Mail.objects.filter(recipient=user.email).order_by("-pk")[:SHOWN]
    ]


def _side(user: User) -> dict[str, Any]:
    """The current state, at the side of the timeline."""
    sessions = LoginSession.objects.usable().filter(user=user).select_related("impersonation__staff_session__user")
    return {
        "person": user,
        "roles": list(user.groups.values_list("name", flat=True)) if user.is_staff else [],
        "has_second_factor": Totp.objects.confirmed(user.id).exists(),
        "access": entitlements.get_entitlements(user),
        "metadata": Profile.objects.filter(user=user).values_list("metadata", flat=True).first() or {},
        "has_teams": settings.TEAMS,
        "memberships": list(Membership.objects.for_user(user).order_by("-pk")[:SHOWN]) if settings.TEAMS else [],
        "sessions": list(sessions.order_by("-last_seen_at")[:MOST_SESSIONS]),
    }
