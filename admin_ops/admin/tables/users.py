"""Users: the list, and a page with everything about each."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.site import admin_site
from admin_ops.queries import search_users
from admin_ops.status_colors import STATUS_COLORS
from admin_ops.timeline import build_timeline
from saas.accounts.models import LoginSession, Totp, User
from saas.accounts.staff.staff_roles import Permission
from saas.billing import clock, entitlements
from saas.billing.models import Customer, EntitlementOverride, Subscription
from saas.teams.models import Membership

KINDS = {
    "": "Everything", "account": "Account", "money": "Money", "webhook": "Webhooks", "mail": "Mails",
    "staff": "Staff", "note": "Notes",
}.items()  # fmt: skip
SHOWN = 8  # of each kind at the side; longer lists have pages of their own


@admin.register(User, site=admin_site)
class UserAdmin(StaffActionAdmin):
    needs = Permission.READ_USERS
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

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        person: User = context["original"]
        context |= {"title": person.full_name or person.email, **_side(person)}
        here, timeline = request.GET.get("kind", ""), build_timeline(person)
        context |= {"timeline": [entry for entry in timeline if here in ("", entry.kind)], "kinds": KINDS, "here": here}
        return super().render_change_form(request, context, *args, **kwargs)


def _side(user: User) -> dict[str, Any]:
    """The current state, at the side of the timeline."""
    context: dict[str, Any] = {
        "person": user,
        "roles": list(user.groups.values_list("name", flat=True)) if user.is_staff else [],
        "has_second_factor": Totp.objects.confirmed(user.id).exists(),
        "access": entitlements.get_entitlements(user),
        "memberships": list(Membership.objects.for_user(user).order_by("-pk")[:SHOWN]),
        "sessions": list(LoginSession.objects.live().filter(user=user).order_by("-last_seen_at")[:SHOWN]),
    }
    if settings.BILLING:
        subscriptions = Subscription.objects.for_owner(user).with_customer()
        ordered = subscriptions.order_by(F("ended_at").desc(nulls_first=True), "-pk")
        context |= {
            "is_selling": True,
            "subscriptions": list(ordered[:SHOWN]),
            "given": list(EntitlementOverride.objects.for_owner(user).live(clock.now())),
            "customers": list(Customer.objects.for_owner(user)),
        }
    return context
