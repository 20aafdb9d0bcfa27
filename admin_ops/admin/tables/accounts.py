"""Profiles, sessions, OAuth identities and notes."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS
from saas.accounts.models import LoginSession, OAuthIdentity, Profile, UserNote
from saas.accounts.oauth.providers import provider_label
from saas.accounts.staff.staff_roles import StaffPermission
from saas.localization.user_agents import describe_agent


@admin.register(Profile, site=admin_site)
class ProfileAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    list_display = ("user", "display_name", "timezone", "visibility", "updated_at")
    list_filter = ("visibility",)
    list_select_related = ("user",)
    search_fields = ("display_name", "user__email")
    ordering = ("-user_id",)
    fields = (
        "user", "display_name", "avatar_url", "timezone", "biography", "social_links", "marketing_opt_in",
        "visibility", "metadata", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = fields

    def heading(self, row: Profile) -> str:
        return f"Profile of {row.user}"

    def sentence_of(self, row: Profile) -> str:
        return "What they show of themselves, and to whom."


@admin.register(LoginSession, site=admin_site)
class LoginSessionAdmin(ReadOnlyModelAdmin):
    """A list only: a row's key is the hash of a cookie, which must not stand in an address."""

    needs = StaffPermission.READ_USERS
    empty_text = "There is no session yet. Each login of a customer or member of staff is listed here."
    list_display = ("user", "audience", "state", "device", "address", "last_seen_at", "sid")
    list_display_links = None
    list_filter = ("audience",)
    list_select_related = ("user",)
    search_fields = ("=sid", "user__email", "=address")
    ordering = ("-created_at",)
    actions = None
    fields = ("sid",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LoginSession]:
        usable = LoginSession.objects.usable().filter(pk=OuterRef("pk"))
        rows: QuerySet[LoginSession] = super().get_queryset(request)
        return rows.annotate(is_usable=Exists(usable))

    @display(description="State", label=STATUS_COLORS)
    def state(self, row: Any) -> str:
        return "ended" if row.revoked_at else "active" if row.is_usable else "expired"

    @display(description="Device")
    def device(self, row: LoginSession) -> str:
        return describe_agent(row.agent)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> None:
        return None


class OAuthIdentityAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    list_display = ("user", "provider", "email", "created_at", "last_login_at")
    list_filter = ("provider",)
    list_select_related = ("user",)
    search_fields = ("email", "user__email", "=subject")
    ordering = ("-id",)
    fields = ("user", "provider", "issuer", "subject", "email", "created_at", "last_login_at")
    readonly_fields = fields

    def heading(self, row: OAuthIdentity) -> str:
        return f"{row.email} at {provider_label(row.provider)}"

    def sentence_of(self, row: OAuthIdentity) -> str:
        return f"{row.user} can log in with it."


if settings.OAUTH:
    admin_site.register(OAuthIdentity, OAuthIdentityAdmin)


@admin.register(UserNote, site=admin_site)
class UserNoteAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_USERS
    list_display = ("user", "text", "author", "created_at")
    list_select_related = ("user", "author")
    search_fields = ("user__email", "text")
    ordering = ("-id",)
    fields = ("user", "text", "author", "created_at")
    readonly_fields = fields

    def heading(self, row: UserNote) -> str:
        return f"Note about {row.user}"

    def sentence_of(self, row: UserNote) -> str:
        return f"{row.author} wrote it for colleagues; it is never changed."
