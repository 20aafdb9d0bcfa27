"""The teams that one is in, those that one is invited to, and a new one."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.base import AccountFormPage, AccountPage, refusal_text
from product.pages.teams.base import list_page, with_role_names
from product.teams.serializers import TeamBody
from saas.api import rate_limits
from saas.api.pages.forms import Field, FormSpec
from saas.api.pagination import DEFAULT_LIMIT
from saas.errors import DomainError, NotFound
from saas.teams import actions, invitations
from saas.teams.models import Membership


class TeamsPage(AccountFormPage):
    section = "teams"
    template = "product/pages/teams/list.html"
    form = FormSpec(TeamBody, Field("name", _("Name of the team"), autocomplete="organization"))

    def context(self) -> dict[str, Any]:
        page = list_page(Membership.objects.for_user(self.known.user), self.request.GET.get("cursor", ""))
        teams = with_role_names(page.items)
        invited = invitations.invitations_of(self.known.user).order_by("expires_at", "pk")
        shown = with_role_names(invited[:DEFAULT_LIMIT])
        return {**super().context(), "teams": teams, "next_cursor": page.next, "invitations": shown}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        membership = actions.create_team(**body, owner=self.known.user)
        messages.success(self.request, gettext("The team is there. Invite the first people."))
        return HttpResponseRedirect(reverse("team-invitations-page", args=[membership.team_id]))


class JoinPage(AccountPage):
    """The button of an invitation to one's own address."""

    section = "teams"
    limits = (rate_limits.INVITATION_ACCEPT,)

    def back_url(self) -> str:
        return reverse("teams-page")

    def get(self, request: HttpRequest, **place: str) -> HttpResponse:
        return HttpResponseRedirect(self.back_url())

    def post(self, request: HttpRequest, **place: str) -> HttpResponse:
        membership = invitations.accept_own_invitation(place["invitation_id"], user=self.known.user)
        messages.success(request, gettext("You are in the team now."))
        return HttpResponseRedirect(reverse("team-page", args=[membership.team_id]))

    def refused(self, refusal: DomainError) -> HttpResponse:
        """A refusal of the button stands above the list."""
        if self.request.method != "POST" or isinstance(refusal, NotFound) or self._impersonation:
            return super().refused(refusal)
        messages.error(self.request, refusal_text(refusal))
        return HttpResponseRedirect(self.back_url())
