"""The teams that one is in, and a new one."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.base import AccountFormPage
from product.pages.teams.base import ROLE_NAMES, list_page
from product.teams.serializers import TeamBody
from saas.api.pages.forms import Field, FormSpec
from saas.teams import actions
from saas.teams.models import Membership
from saas.teams.roles import Role


class TeamsPage(AccountFormPage):
    section = "teams"
    template = "product/pages/teams/list.html"
    form = FormSpec(TeamBody, Field("name", _("Name of the team"), autocomplete="organization"))

    def context(self) -> dict[str, Any]:
        page = list_page(Membership.objects.for_user(self.known.user), self.request.GET.get("cursor", ""))
        teams = [{"row": row, "role": gettext(ROLE_NAMES[Role(row.role)])} for row in page.items]
        return {**super().context(), "teams": teams, "next_cursor": page.next}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        membership = actions.create_team(**body, owner=self.known.user)
        messages.success(self.request, gettext("The team is there. Invite the first people."))
        return HttpResponseRedirect(reverse("team-invitations-page", args=[membership.team_id]))
