"""Teams, members, invitations and API keys, without the hashes of tokens and keys."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.live_pages import live_context, money_context, timeline_context
from admin_ops.admin.site import admin_site
from admin_ops.timeline import build_team_timeline
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import entitlements
from saas.billing.alarms import alarms_of_team
from saas.billing.catalogue import registry
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

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        team: Team = context["original"]
        access = entitlements.get_entitlements(team)
        limits = {key: access.limits[key] for key in registry.limit_keys(of_team=True)}
        context |= {"access": replace(access, limits=limits), "team": team, **_people_and_keys(team)}
        context |= timeline_context(request, build_team_timeline(team), TEAM_KINDS)
        if settings.BILLING:
            context |= live_context(request, alarms_of_team(team), Customer.objects.for_owner(team))
            context |= money_context(request, team)
        return super().render_change_form(request, context, *args, **kwargs)


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


@admin.register(Invitation, site=admin_site)
class InvitationAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "There is no invitation to a team yet."
    list_display = ("email", "team", "role", "invited_by", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("role",)
    list_select_related = ("team", "invited_by")
    search_fields = ("email", "team__name", "=team__id")
    ordering = ("-id",)
    fields = (
        "id", "team", "email", "role", "invited_by", "created_at", "expires_at", "accepted_at", "accepted_by",
        "revoked_at",
    )  # fmt: skip
    readonly_fields = fields


class ApiKeyAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    empty_text = "No team has made an API key yet."
    list_display = ("name", "prefix", "team", "created_by", "scopes", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("team", "created_by")
    search_fields = ("name", "=prefix", "team__name", "=team__id")
    ordering = ("-id",)
    fields = (
        "id", "team", "name", "prefix", "scopes", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields


if settings.API_KEYS:
    admin_site.register(ApiKey, ApiKeyAdmin)
