"""API keys of a team: the list, a new one that is shown once, and revoking one."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from product.pages.teams.base import NOTHING_ASKED, TeamFormPage, TeamPage, list_page
from product.teams.serializers import MAX_KEY_DAYS, ApiKeyBody
from saas.api.pages.forms import Field, FormSpec
from saas.errors import NotFound
from saas.teams import api_keys
from saas.teams.models import ApiKey
from saas.teams.roles import Permission, Scope


class KeyBody(ApiKeyBody):
    """The API's, as a form sends it, with one choice for the scopes: writing includes reading."""

    scopes = serializers.ChoiceField(Scope.choices)  # type: ignore[assignment]
    expires_in_days = serializers.IntegerField(min_value=1, max_value=MAX_KEY_DAYS)  # type: ignore[assignment]


class ApiKeysPage(TeamPage):
    here = "team-keys-page"
    template = "product/pages/teams/api_keys.html"
    permission = Permission.VIEW_API_KEYS

    def context(self) -> dict[str, Any]:
        rows = ApiKey.objects.visible_to(self.known.user).current().filter(team=self.actor.team)
        page = list_page(rows.select_related("created_by"), self.request.GET.get("cursor", ""))
        return {**super().context(), "keys": page.items, "next_cursor": page.next}


class NewApiKeyPage(TeamFormPage):
    here = "team-keys-page"
    template = "product/pages/teams/api_key_new.html"
    post_permission = Permission.MANAGE_API_KEYS
    form = FormSpec(
        KeyBody,
        Field("name", _("Name"), help=_("Where it is used, such as “Nightly export”."), autocomplete="off"),
        Field(
            "scopes",
            _("May"),
            kind="select",
            options=[(Scope.READ, _("Read")), (Scope.WRITE, _("Read and write"))],
        ),
        Field(
            "expires_in_days",
            _("Works for"),
            kind="select",
            options=[
                ("30", _("30 days")),
                ("90", _("90 days")),
                ("180", _("180 days")),
                (str(MAX_KEY_DAYS), _("a year")),
            ],
        ),
    )

    def back_url(self) -> str:
        return self.address("team-key-new-page")

    def initial(self) -> dict[str, Any]:
        return {"scopes": Scope.READ, "expires_in_days": "90"}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        api_keys.require_verified_email(self.actor)
        self.require_recent_login()
        scopes = [Scope.READ, Scope.WRITE] if body["scopes"] == Scope.WRITE else [Scope.READ]
        days = body["expires_in_days"]
        key, raw = api_keys.create_api_key(self.actor, name=body["name"], scopes=scopes, expires_in_days=days)
        return self.render({"key": key, "secret": raw}, template="product/pages/teams/api_key_made.html")


class RevokeApiKeyPage(TeamFormPage):
    here = "team-keys-page"
    template = "product/pages/teams/api_key_revoke.html"
    post_permission = Permission.MANAGE_API_KEYS
    form = NOTHING_ASKED

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        rows = ApiKey.objects.visible_to(self.known.user).current().filter(team=self.actor.team)
        key = rows.filter(pk=self.kwargs["key_id"]).first()
        if key is None:
            raise NotFound
        self.key = key
        return None

    def context(self) -> dict[str, Any]:
        return {**super().context(), "key": self.key}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        api_keys.revoke_api_key(self.actor, self.key)
        messages.success(self.request, gettext("The key “{name}” is revoked.").format(name=self.key.name))
        return self.go_to(self.here)
