"""The team itself: its name, leaving, handing it over, deleting it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.teams.base import NOTHING_ASKED, TeamFormPage
from product.pages.teams.members import name_of
from product.teams.serializers import TeamBody, TransferBody
from saas.accounts.models import User
from saas.api.pages.forms import Field, FormSpec
from saas.teams import actions
from saas.teams.models import Membership
from saas.teams.roles import Permission


class SettingsPage(TeamFormPage):
    """The name, for who may change it, and the ways out."""

    here = "team-settings-page"
    template = "product/pages/teams/settings.html"
    form = FormSpec(TeamBody, Field("name", _("Name of the team"), autocomplete="organization"))

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        if self.request.method == "POST":
            self.actor.require(Permission.CHANGE_TEAM)
        return None

    def initial(self) -> dict[str, Any]:
        return {"name": self.actor.team.name}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.update_team(self.actor, **body)
        messages.success(self.request, gettext("The name is saved."))
        return self.go_to(self.here)


class LeavePage(TeamFormPage):
    here = "team-settings-page"
    template = "product/pages/teams/leave.html"
    post_permission = Permission.LEAVE_TEAM
    form = NOTHING_ASKED

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.leave_team(self.actor)
        messages.success(self.request, gettext("You have left {team}.").format(team=self.actor.team.name))
        return HttpResponseRedirect(reverse("teams-page"))


class TransferPage(TeamFormPage):
    here = "team-settings-page"
    template = "product/pages/teams/transfer.html"
    post_permission = Permission.TRANSFER_TEAM

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        others = Membership.objects.visible_to(self.known.user).filter(team=self.actor.team)
        others = others.filter(user__status=User.Status.ACTIVE).exclude(user=self.known.user)
        options = [(row.user_id, name_of(row)) for row in others.order_by("user__full_name", "user__email")]
        field = Field("user_id", _("New owner"), kind="select", options=options)
        self.form = FormSpec(TransferBody, field)  # type: ignore[misc]
        return None

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.transfer_team(self.actor, new_owner_id=body["user_id"])
        messages.success(self.request, gettext("The team is handed over. You are an admin now."))
        return self.go_to("team-page")


class DeletePage(TeamFormPage):
    here = "team-settings-page"
    template = "product/pages/teams/delete.html"
    post_permission = Permission.DELETE_TEAM
    form = NOTHING_ASKED

    def context(self) -> dict[str, Any]:
        return {**super().context(), "members_count": self.actor.team.memberships.count()}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.delete_team(self.actor)
        messages.success(self.request, gettext("{team} is deleted.").format(team=self.actor.team.name))
        return HttpResponseRedirect(reverse("teams-page"))
