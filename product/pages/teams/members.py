"""Members of a team: their roles, and removing them."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.teams.base import NOTHING_ASKED, ROLE_NAMES, TeamFormPage, TeamPage, list_page, role_options
from product.teams.serializers import RoleBody
from saas.api.pages.forms import Field, FormSpec
from saas.errors import NotFound
from saas.teams import actions, plan_limits, roles
from saas.teams.models import Membership
from saas.teams.roles import Permission, Role


class MembersPage(TeamPage):
    template = "product/pages/teams/members.html"
    permission = Permission.VIEW_MEMBERS

    def context(self) -> dict[str, Any]:
        rows = Membership.objects.visible_to(self.known.user).filter(team=self.actor.team)
        page = list_page(rows, self.request.GET.get("cursor", ""))
        return {
            **super().context(),
            "members": [self._shown(row) for row in page.items],
            "next_cursor": page.next,
            "seats_taken": plan_limits.seats_taken(self.actor.team),
            "seat_limit": plan_limits.seat_limit(self.actor.team),
        }

    def _shown(self, row: Membership) -> dict[str, Any]:
        is_own = row.user_id == self.known.user.id
        may_change = self.actor.may(Permission.MANAGE_MEMBERS) and roles.is_at_least(self.actor.role, row.role)
        role = gettext(ROLE_NAMES[Role(row.role)])
        return {"row": row, "role": role, "is_own": is_own, "may_change": may_change and not is_own}


class MemberPage(TeamFormPage):
    """Change the role of a member, or remove them."""

    template = "product/pages/teams/member.html"
    post_permission = Permission.MANAGE_MEMBERS

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        rows = Membership.objects.visible_to(self.known.user).filter(team=self.actor.team)
        member = rows.filter(user=self.kwargs["user_id"]).first()
        if member is None:
            raise NotFound
        self.actor.require_role_reach(member.role)
        self.member = member
        options = role_options(roles.assignable_roles(self.actor.role))
        self.form = FormSpec(RoleBody, Field("role", _("Role"), kind="select", options=options))  # type: ignore[misc]
        return None

    def initial(self) -> dict[str, Any]:
        return {"role": self.member.role}

    def context(self) -> dict[str, Any]:
        return {**super().context(), "member": self.member}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        member = actions.change_role(self.actor, user_id=self.member.user_id, role=Role(body["role"]))
        text = gettext("{name} is now: {role}.").format(
            name=name_of(member), role=gettext(ROLE_NAMES[Role(member.role)])
        )
        messages.success(self.request, text)
        return self.go_to("team-page")


class RemoveMemberPage(MemberPage):
    template = "product/pages/teams/member_remove.html"

    def admit(self) -> HttpResponseBase | None:
        answer = super().admit()
        self.form = NOTHING_ASKED  # type: ignore[misc]
        return answer

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.remove_member(self.actor, user_id=self.member.user_id)
        messages.success(self.request, gettext("{name} is no longer in the team.").format(name=name_of(self.member)))
        return self.go_to("team-page")


def name_of(member: Membership) -> str:
    return member.user.full_name or member.user.email
