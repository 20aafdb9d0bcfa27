"""Teams, members, invitations and API keys, without the hashes of tokens and keys."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.site import admin_site
from saas.accounts.staff.staff_roles import Permission
from saas.billing import clock, entitlements
from saas.billing.models import EntitlementOverride
from saas.billing.overrides import TEAM_LIMITS
from saas.teams.models import ApiKey, Invitation, Membership, Team


@admin.register(Team, site=admin_site)
class TeamAdmin(StaffActionAdmin):
    needs = Permission.READ_USERS
    list_display = ("id", "name", "owner", "created_at", "deleted_at")
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "owner__email")
    ordering = ("-id",)
    fields = ("id", "name", "owner", "created_at", "updated_at", "deleted_at")
    readonly_fields = fields
    change_form_template = "admin_ops/team.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        team: Team = context["original"]
        access = entitlements.get_entitlements(team)
        limits = {key: access.limits[key] for key in TEAM_LIMITS}
        given = list(EntitlementOverride.objects.for_owner(team).live(clock.now())) if settings.BILLING else []
        context |= {"access": replace(access, limits=limits), "given": given}
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(Membership, site=admin_site)
class MembershipAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_USERS
    list_display = ("user", "team", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "team")
    search_fields = ("user__email", "team__name", "=team__id")
    ordering = ("-id",)
    fields = ("id", "user", "team", "role", "created_at")
    readonly_fields = fields


@admin.register(Invitation, site=admin_site)
class InvitationAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_USERS
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


@admin.register(ApiKey, site=admin_site)
class ApiKeyAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_USERS
    list_display = ("name", "prefix", "team", "created_by", "scopes", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("team", "created_by")
    search_fields = ("name", "=prefix", "team__name", "=team__id")
    ordering = ("-id",)
    fields = (
        "id", "team", "name", "prefix", "scopes", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields
