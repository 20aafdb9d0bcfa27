"""Invitations to a team: create, resend, revoke and accept."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from product.teams import serializers as shapes
from product.teams.views import TeamView, get_or_404
from saas.accounts.actions import EmailTaken
from saas.accounts.email_addresses import InvalidAddress, canonical_email
from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.api import rate_limits
from saas.api.accounts.views import login_response
from saas.api.openapi.schema_generation import problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.api.rate_limits import RateLimit, TooManyRequests
from saas.api.representation import represent, represent_all
from saas.api.views import CustomerView, PublicView
from saas.errors import Forbidden, NotFound
from saas.teams import invitations
from saas.teams.actors import Actor, RoleAboveOwn
from saas.teams.invitations import (
    AlreadyInvited,
    AlreadyMember,
    InvitationExpired,
    InvitationForAnotherAddress,
    InvitationRevoked,
    InvitationUsed,
)
from saas.teams.models import Invitation
from saas.teams.plan_limits import SeatLimitReached
from saas.teams.roles import Permission


def invitation_mail_limits(email: str) -> tuple[RateLimit, ...]:
    """Of who invites, of the team, of the invited address. Count them after the permission check: a stranger must not use
    up a team's."""
    by_address = rate_limits.invitation_address_limit(canonical_email(email))
    return (rate_limits.TEAM_INVITE, rate_limits.TEAM_INVITE_DAILY, by_address)


class InvitationsView(TeamView):
    @extend_schema(
        operation_id="invitations",
        summary="List the open invitations",
        parameters=[PageQuery],
        responses={200: shapes.InvitationsShape, **problem_responses(Forbidden)},
        tags=["invitations"],
    )
    def get(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.VIEW_INVITATIONS)
        rows = Invitation.objects.visible_to(self.user).open().filter(team=actor.team)
        page = paginate(rows, **self.query(PageQuery))
        return Response({"invitations": represent_all(shapes.InvitationShape, page.items), **page.meta})

    @extend_schema(
        operation_id="invitation_create",
        summary="Invite a person",
        request=shapes.InvitationBody,
        responses={
            201: shapes.OneInvitationShape,
            **problem_responses(RoleAboveOwn, AlreadyInvited, AlreadyMember, SeatLimitReached, InvalidAddress),
        },
        tags=["invitations"],
    )
    def post(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.MANAGE_INVITATIONS)
        body = self.body(shapes.InvitationBody)
        self.enforce_limits(*invitation_mail_limits(body["email"]))
        invitation = invitations.invite(actor, **body)
        return Response({"invitation": represent(shapes.InvitationShape, invitation)}, status=201)


class InvitationView(TeamView):
    @extend_schema(
        operation_id="invitation_revoke", summary="Revoke an invitation", responses={204: None}, tags=["invitations"]
    )
    def delete(self, request: Request, team_id: str, invitation_id: str) -> Response:
        actor, invitation = _actor_for(self, team_id, invitation_id)
        invitations.revoke_invitation(actor, invitation)
        return Response(status=204)


class ResendView(TeamView):
    @extend_schema(
        operation_id="invitation_resend",
        summary="Send an invitation again",
        request=None,
        responses={
            200: shapes.OneInvitationShape,
            **problem_responses(RoleAboveOwn, SeatLimitReached, TooManyRequests),
        },
        tags=["invitations"],
    )
    def post(self, request: Request, team_id: str, invitation_id: str) -> Response:
        actor, invitation = _actor_for(self, team_id, invitation_id)
        self.enforce_limits(*invitation_mail_limits(invitation.email))
        return Response(
            {"invitation": represent(shapes.InvitationShape, invitations.resend_invitation(actor, invitation))}
        )


class OwnInvitationsView(CustomerView):
    @extend_schema(
        operation_id="own_invitations",
        summary="List the invitations to one's own address",
        description="Those that can be accepted, once the address is verified.",
        parameters=[PageQuery],
        responses={200: shapes.OwnInvitationsShape},
        tags=["invitations"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(invitations.invitations_of(self.user), **self.query(PageQuery))
        return Response({"invitations": represent_all(shapes.OwnInvitationShape, page.items), **page.meta})


class AcceptOwnView(CustomerView):
    limits = (rate_limits.INVITATION_ACCEPT,)

    @extend_schema(
        operation_id="own_invitation_accept",
        summary="Accept an invitation to one's own address",
        request=None,
        responses={200: shapes.OneTeamShape, **problem_responses(NotFound, SeatLimitReached)},
        tags=["invitations"],
    )
    def post(self, request: Request, invitation_id: str) -> Response:
        membership = invitations.accept_own_invitation(invitation_id, user=self.user)
        return Response({"team": represent(shapes.TeamShape, membership)})


class AcceptView(CustomerView):
    limits = (rate_limits.INVITATION_ACCEPT,)

    @extend_schema(
        operation_id="invitation_accept",
        summary="Accept an invitation",
        request=shapes.AcceptBody,
        responses={
            200: shapes.OneTeamShape,
            **problem_responses(
                EmailNotVerified,
                InvitationForAnotherAddress,
                NotFound,
                InvitationUsed,
                AlreadyMember,
                SeatLimitReached,
                InvitationExpired,
                InvitationRevoked,
            ),
        },
        tags=["invitations"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(shapes.AcceptBody)["token"]
        self.enforce_limits(rate_limits.mailed_link_token_limit(token))
        membership = invitations.accept_invitation(token, user=self.user)
        return Response({"team": represent(shapes.TeamShape, membership)})


class RegisterByInvitationView(PublicView):
    """For a person without an account: the token proves the mailbox, so the invited address gets one that is confirmed at once.

    An account that was registered with this address and never confirmed is handed over: its password, second factor,
    sessions, identities, keys and names are gone.
    """

    limits = (rate_limits.INVITATION_ACCEPT, rate_limits.REGISTER, rate_limits.REGISTER_HOURLY)

    @extend_schema(
        operation_id="invitation_register",
        summary="Register and accept an invitation",
        request=shapes.InvitedBody,
        responses={
            201: shapes.JoinedShape,
            **problem_responses(
                NotFound,
                EmailTaken,
                InvitationUsed,
                AlreadyMember,
                SeatLimitReached,
                InvitationExpired,
                InvitationRevoked,
                HashingBusy,
            ),
        },
        tags=["invitations"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.InvitedBody)
        self.enforce_limits(rate_limits.mailed_link_token_limit(body["token"]))
        login, membership = invitations.register_by_invitation(body.pop("token"), **body)
        answer = login_response(request, login, status=201)
        answer.data["team"] = represent(shapes.TeamShape, membership)
        return answer


def _actor_for(view: TeamView, team_id: str, invitation_id: str) -> tuple[Actor, Invitation]:
    actor = view.actor(team_id)
    invitation = get_or_404(Invitation.objects.visible_to(view.user).open().filter(team=actor.team), pk=invitation_id)
    actor.require(Permission.MANAGE_INVITATIONS)
    return actor, invitation
