"""Teams and their members.

A caller who is not in a team gets 404; a member without the permission gets 403 before the body is read.
"""

from typing import TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from product.teams import serializers as shapes
from saas.accounts.metadata import MetadataReadOnly
from saas.api.api_key_authentication import API_KEY_CLASSES, ApiKeyCredential
from saas.api.authentication import CustomerBearer, CustomerCookie
from saas.api.openapi.schema_generation import problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.api.rate_limits import TEAM
from saas.api.representation import represent, represent_all
from saas.api.views import CustomerView
from saas.errors import Forbidden, NotFound
from saas.teams import actions, plan_limits
from saas.teams.actions import LastOwner, TeamSubscribed
from saas.teams.actors import Actor, RoleAboveOwn
from saas.teams.models import ApiKey, Membership
from saas.teams.plan_limits import TeamLimitReached
from saas.teams.roles import Permission, Role

Row = TypeVar("Row", bound=Model)


class TeamView(CustomerView):
    """For people and, within their scopes, for API keys."""

    authentication_classes = (*API_KEY_CLASSES, CustomerBearer, CustomerCookie)

    @property
    def key(self) -> ApiKey | None:
        return self.request.auth.key if isinstance(self.request.auth, ApiKeyCredential) else None

    def actor(self, team_id: str) -> Actor:
        """The caller in this team; 404 for others."""
        membership = self._memberships().filter(team=team_id).first()
        if membership is None:
            raise NotFound
        self.enforce_limits(TEAM)  # after the 404: strangers must not use up a team's requests
        return Actor(membership, self.key)

    def _memberships(self) -> QuerySet[Membership]:
        """The caller's own; with an API key only the one in the key's team."""
        rows = Membership.objects.for_user(self.user)
        return rows.filter(team=self.key.team_id) if self.key else rows


def get_or_404(rows: QuerySet[Row], **identity: str) -> Row:
    """The one row; 404 if it is not among ``rows``."""
    row = rows.filter(**identity).first()
    if row is None:
        raise NotFound
    return row


class TeamsView(TeamView):
    @extend_schema(
        operation_id="teams",
        summary="List the teams",
        parameters=[PageQuery],
        responses=shapes.TeamsShape,
        tags=["teams"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(self._memberships(), **self.query(PageQuery))
        return Response({"teams": represent_all(shapes.TeamShape, page.items), **page.meta})

    @extend_schema(
        operation_id="team_create",
        summary="Create a team",
        request=shapes.TeamBody,
        responses={201: shapes.OneTeamShape, **problem_responses(TeamLimitReached)},
        tags=["teams"],
    )
    def post(self, request: Request) -> Response:
        if self.key:
            raise Forbidden
        membership = actions.create_team(**self.body(shapes.TeamBody), owner=self.user)
        return Response({"team": represent(shapes.TeamShape, membership)}, status=201)


class OneTeamView(TeamView):
    @extend_schema(operation_id="team", summary="Get a team", responses=shapes.TeamDetailShape, tags=["teams"])
    def get(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.VIEW_TEAM)
        seats = {"taken": plan_limits.seats_taken(actor.team), "limit": plan_limits.seat_limit(actor.team)}
        return Response({"team": represent(shapes.TeamShape, actor.membership), "seats": seats})

    @extend_schema(
        operation_id="team_rename",
        summary="Change a team",
        request=shapes.TeamChangeBody,
        responses={200: shapes.OneTeamShape, **problem_responses(MetadataReadOnly)},
        tags=["teams"],
    )
    def patch(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.CHANGE_TEAM)
        membership = actions.update_team(actor, **self.body(shapes.TeamChangeBody))
        return Response({"team": represent(shapes.TeamShape, membership)})

    @extend_schema(
        operation_id="team_delete",
        summary="Delete a team",
        responses={204: None, **problem_responses(TeamSubscribed)},
        tags=["teams"],
    )
    def delete(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.DELETE_TEAM)
        actions.delete_team(actor)
        return Response(status=204)


class MembersView(TeamView):
    @extend_schema(
        operation_id="members",
        summary="List the members",
        parameters=[PageQuery],
        responses=shapes.MembersShape,
        tags=["teams"],
    )
    def get(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.VIEW_MEMBERS)
        rows = Membership.objects.visible_to(self.user).filter(team=actor.team)
        page = paginate(rows, **self.query(PageQuery))
        return Response({"members": represent_all(shapes.MemberShape, page.items), **page.meta})


class MemberView(TeamView):
    @extend_schema(
        operation_id="member_change_role",
        summary="Change a member's role",
        request=shapes.RoleBody,
        responses={200: shapes.OneMemberShape, **problem_responses(RoleAboveOwn, LastOwner)},
        tags=["teams"],
    )
    def patch(self, request: Request, team_id: str, user_id: str) -> Response:
        actor = self._actor_for(team_id, user_id)
        member = actions.change_role(actor, user_id=user_id, role=Role(self.body(shapes.RoleBody)["role"]))
        return Response({"member": represent(shapes.MemberShape, member)})

    @extend_schema(
        operation_id="member_remove",
        summary="Remove a member",
        responses={204: None, **problem_responses(RoleAboveOwn, LastOwner)},
        tags=["teams"],
    )
    def delete(self, request: Request, team_id: str, user_id: str) -> Response:
        actions.remove_member(self._actor_for(team_id, user_id), user_id=user_id)
        return Response(status=204)

    def _actor_for(self, team_id: str, user_id: str) -> Actor:
        actor = self.actor(team_id)
        get_or_404(Membership.objects.visible_to(self.user).filter(team=actor.team), user=user_id)
        actor.require(Permission.MANAGE_MEMBERS)
        return actor


class LeaveView(TeamView):
    @extend_schema(
        operation_id="team_leave",
        summary="Leave a team",
        request=None,
        responses={204: None, **problem_responses(LastOwner)},
        tags=["teams"],
    )
    def post(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.LEAVE_TEAM)
        actions.leave_team(actor)
        return Response(status=204)


class TransferView(TeamView):
    @extend_schema(
        operation_id="team_transfer",
        summary="Hand a team over",
        request=shapes.TransferBody,
        responses={200: shapes.OneTeamShape, **problem_responses(TeamLimitReached)},
        tags=["teams"],
    )
    def post(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.TRANSFER_TEAM)
        membership = actions.transfer_team(actor, new_owner_id=self.body(shapes.TransferBody)["user_id"])
        return Response({"team": represent(shapes.TeamShape, membership)})
