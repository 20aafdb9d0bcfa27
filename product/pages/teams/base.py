"""The frame of a team's pages: who looks, what their role allows, and a section for each subject."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import Serializer

from product.pages.base import AccountFormPage, AccountPage
from saas.api import rate_limits
from saas.api.pages.forms import FormSpec
from saas.api.pagination import DEFAULT_LIMIT, ListPage, paginate
from saas.errors import NotFound
from saas.teams.actors import Actor
from saas.teams.models import Membership
from saas.teams.roles import Permission, Role

ROLE_NAMES = {Role.OWNER: _("Owner"), Role.ADMIN: _("Admin"), Role.MEMBER: _("Member"), Role.VIEWER: _("Viewer")}
KEYS_PAGE, BILLING_PAGE = "team-keys-page", "team-billing"
_SECTIONS = (
    ("team-page", _("Members"), Permission.VIEW_MEMBERS),
    ("team-invitations-page", _("Invitations"), Permission.VIEW_INVITATIONS),
    (KEYS_PAGE, _("API keys"), Permission.VIEW_API_KEYS),
    (BILLING_PAGE, _("Billing"), Permission.MANAGE_BILLING),
    ("team-settings-page", _("Settings"), Permission.VIEW_TEAM),
)


def with_role_names(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Each row, such as a membership or an invitation, and what its role is called."""
    return [{"row": row, "role": gettext(ROLE_NAMES[Role(row.role)])} for row in rows]


class _ConfirmedBody(Serializer[Any]):
    """Nothing is asked: the button is the answer."""


NOTHING_ASKED = FormSpec(_ConfirmedBody)


class TeamPage(AccountPage):
    """For members of the team in the address; 404 for others.

    ``permission`` is asked of everybody who opens the page, ``post_permission`` of who sends its form. ``here`` is the route of
    the section that the page belongs to.
    """

    section = "teams"
    here: ClassVar[str] = "team-page"
    permission: ClassVar[Permission] = Permission.VIEW_TEAM
    post_permission: ClassVar[Permission | None] = None

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        memberships = Membership.objects.for_user(self.known.user)
        membership = memberships.filter(team=self.kwargs["team_id"]).first()
        if membership is None:
            raise NotFound
        self.enforce_limits(rate_limits.TEAM)
        self.actor = Actor(membership)
        self.actor.require(self.permission)
        if self.request.method == "POST" and self.post_permission:
            self.actor.require(self.post_permission)
        return None

    def context(self) -> dict[str, Any]:
        return {**super().context(), **team_context(self.actor, self.here), "others": self._other_memberships()}

    def _other_memberships(self) -> QuerySet[Membership]:
        """For the switcher."""
        mine = Membership.objects.for_user(self.known.user).exclude(team=self.actor.team)
        return mine.order_by("team__name")[:DEFAULT_LIMIT]

    def address(self, name: str) -> str:
        """The address of another page of this team; also for a visitor whose login has ended, who is no actor."""
        return reverse(name, args=[self.kwargs["team_id"]])

    def back_url(self) -> str:
        return self.address(self.here)

    def go_to(self, name: str) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.address(name))


class TeamFormPage(TeamPage, AccountFormPage):
    """A form of a team. Without the permission to send it, the page is refused, too."""

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        if self.post_permission:
            self.actor.require(self.post_permission)
        return None


def team_context(actor: Actor, here: str) -> dict[str, Any]:
    """The team, its sections, and what the actor may do: only that is offered."""
    is_there = {KEYS_PAGE: settings.API_KEYS, BILLING_PAGE: settings.BILLING}
    sections = [
        {"address": reverse(name, args=[actor.team.id]), "label": gettext(label), "is_here": name == here}
        for name, label, permission in _SECTIONS
        if actor.may(permission) and is_there.get(name, True)
    ]
    may = {permission.name.lower(): actor.may(permission) for permission in Permission}
    return {"team": actor.team, "actor": actor, "may": may, "sections": sections}


def role_options(roles: list[Role]) -> list[tuple[str, str]]:
    return [(str(role), gettext(ROLE_NAMES[role])) for role in roles]


def list_page(rows: QuerySet[Any], cursor: str) -> ListPage:
    """One page of a list; the first for a cursor that is not the list's."""
    try:
        return paginate(rows, cursor=cursor, limit=DEFAULT_LIMIT)
    except ValidationError:
        return paginate(rows, cursor="", limit=DEFAULT_LIMIT)
