"""Teams, members, invitations and API keys, without the hashes of tokens and keys."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.live_pages import live_context, money_context, timeline_context
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS
from admin_ops.timeline import build_team_timeline
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import entitlements
from saas.billing.alarms import alarms_of_team
from saas.billing.catalogue import limits_and_features
from saas.billing.models import Customer
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.plan_limits import seats_taken

SHOWN_MEMBERS = 50  # longer lists have pages of their own
TEAM_KINDS = {
    "": "Everything", "account": "Team", "money": "Money", "webhook": "Webhooks", "staff": "Staff",
}.items()  # fmt: skip


@admin.register(Team, site=admin_site)
class TeamAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "No customer has made a team yet."
    list_display = ("id", "name", "owner", "created_at", "deleted_at")
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "owner__email")
    ordering = ("-id",)
    fields = ("id", "name", "owner", "metadata", "created_at", "updated_at", "deleted_at")
    readonly_fields = fields
    change_form_template = "admin_ops/team.html"

    def page_of(self, request: HttpRequest, row: Team) -> dict[str, Any]:
        access = entitlements.get_entitlements(row)
        limits = {key: access.limits[key] for key in limits_and_features.limit_keys(of_team=True)}
        shown = {"access": replace(access, limits=limits), "team": row, **_people_and_keys(row)}
        if settings.BILLING:
            shown |= live_context(request, alarms_of_team(row), Customer.objects.for_owner(row))
            shown |= money_context(request, row)
        return shown | timeline_context(request, build_team_timeline(row), TEAM_KINDS)


def _people_and_keys(team: Team) -> dict[str, Any]:
    """With how many seats and keys are taken of those that the plan allows."""
    invitations = team.invitations.open().select_related("invited_by").order_by("-pk")
    keys = team.api_keys.current().select_related("created_by").order_by("-pk")
    return {
        "title": team.name,
        "members": list(team.memberships.select_related("user").order_by("pk")[:SHOWN_MEMBERS]),
        "invitations": list(invitations[:SHOWN_MEMBERS]),
        "keys": list(keys[:SHOWN_MEMBERS]) if settings.API_KEYS else [],
        "has_keys": settings.API_KEYS,
        "taken": {"seats": seats_taken(team), "api_keys": keys.filter(expires_at__gt=timezone.now()).count()},
    }


@admin.register(Membership, site=admin_site)
class MembershipAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "There is no team with members yet."
    list_display = ("user", "team", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "team")
    search_fields = ("user__email", "team__name", "=team__id")
    ordering = ("-id",)
    fields = ("id", "user", "team", "role", "created_at")
    readonly_fields = fields

    def heading(self, row: Membership) -> str:
        return f"{row.user} in {row.team}"

    def sentence_of(self, row: Membership) -> str:
        return f"{row.get_role_display()} since {row.created_at:%-d %b %Y}. What the role allows stands on the team’s page."


@admin.register(Invitation, site=admin_site)
class InvitationAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "There is no invitation to a team yet."
    list_display = ("email", "team", "role", "state", "invited_by", "created_at", "expires_at")
    list_filter = ("role",)
    list_select_related = ("team", "invited_by")
    search_fields = ("email", "team__name", "=team__id")
    ordering = ("-id",)
    fields = (
        "id", "team", "email", "role", "invited_by", "created_at", "expires_at", "accepted_at", "accepted_by",
        "revoked_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="State", label=STATUS_COLORS)
    def state(self, row: Invitation) -> str:
        return "accepted" if row.accepted_at else "revoked" if row.revoked_at else row.status

    def heading(self, row: Invitation) -> str:
        return f"{row.email} to {row.team}"

    def sentence_of(self, row: Invitation) -> str:
        asked = f"{row.invited_by} invited them on {row.created_at:%-d %b %Y} as {row.get_role_display().lower()}"
        return f"{asked}."


class ApiKeyAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "No team has made an API key yet."
    list_display = ("name", "prefix", "team", "may", "state", "created_by", "last_used_at", "expires_at")
    list_select_related = ("team", "created_by")
    search_fields = ("name", "=prefix", "team__name", "=team__id")
    ordering = ("-id",)
    fields = (
        "team", "name", "prefix", "may", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at", "id",
    )  # fmt: skip
    readonly_fields = fields

    def sentence_of(self, row: ApiKey) -> str:
        return f"A program acts by it for {row.team}. The key itself is not stored here, only its beginning."

    @display(description="May")
    def may(self, row: ApiKey) -> str:
        return " and ".join(row.scope_list)

    @display(description="State", label=STATUS_COLORS)
    def state(self, row: ApiKey) -> str:
        if row.revoked_at:
            return "revoked"
        return "expired" if row.is_expired else "active"


if settings.API_KEYS:
    admin_site.register(ApiKey, ApiKeyAdmin)
