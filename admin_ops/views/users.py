"""People: finding them, the one page about each, and what staff may do for or against them."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import representations as show
from admin_ops.customer_page import customer_page
from admin_ops.queries import search_users
from admin_ops.serializers import users as shapes
from admin_ops.views.base import AdminApiView, UserApiView
from saas.accounts.second_factor import SecondFactorNotEnabled
from saas.accounts.sessions import long_lived_credentials
from saas.accounts.staff import staff_administration
from saas.accounts.staff.staff_administration import (
    AccountDeleted,
    AccountNotActive,
    CannotBanSelf,
    CannotResetOwnFactor,
    LastAdmin,
    StaffAccount,
)
from saas.accounts.staff.staff_roles import Permission
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pagination import paginate


class UsersView(AdminApiView):
    needs = Permission.READ_USERS

    @extend_schema(
        operation_id="staff_users",
        summary="Find people",
        parameters=[shapes.UsersQuery],
        responses=shapes.UsersShape,
        tags=["users"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.UsersQuery)
        cursor, limit = query.pop("cursor"), query.pop("limit")
        page = paginate(search_users(**query), cursor=cursor, limit=limit)
        return Response({"users": [show.user(row) for row in page.items], **page.meta})


class UserView(UserApiView):
    @extend_schema(
        operation_id="staff_user", summary="Everything about a person", responses=shapes.PersonShape, tags=["users"]
    )
    def get(self, request: Request, user_id: str) -> Response:
        return Response(customer_page(self.person(user_id)))


class BanView(UserApiView):
    """Sessions, tokens and cookies die in the same transaction. Banning twice is answered like once."""

    @extend_schema(
        operation_id="staff_user_ban",
        summary="Ban a person",
        request=shapes.ReasonBody,
        responses={
            200: shapes.StandingShape,
            **problem_responses(StaffAccount, AccountDeleted, CannotBanSelf, LastAdmin),
        },
        tags=["users"],
    )
    def put(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.BAN_USERS)
        banned = staff_administration.ban_user(person, by=self.user, reason=self.body(shapes.ReasonBody)["reason"])
        return Response({"user": show.user(banned), "status": "banned"})


class UnbanView(UserApiView):
    """``status`` tells that the ban is lifted. An account whose deletion is pending waits for that again: see ``user.status``."""

    @extend_schema(
        operation_id="staff_user_unban",
        summary="Lift a ban",
        request=OptionalBody(shapes.OptionalReasonBody),
        responses={200: shapes.StandingShape, **problem_responses(StaffAccount, AccountDeleted)},
        tags=["users"],
    )
    def put(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.BAN_USERS)
        unbanned = staff_administration.unban_user(person, by=self.user, reason=self.reason())
        return Response({"user": show.user(unbanned), "status": "active"})


class SessionsRevokeView(UserApiView):
    """What outlives the sessions (API keys, open invitations) is counted, and goes with ``revoke_credentials``."""

    @extend_schema(
        operation_id="staff_user_sessions_revoke",
        summary="Log a person out everywhere",
        request=OptionalBody(shapes.SessionsRevokeBody),
        responses={200: shapes.SessionsRevokedShape, **problem_responses(StaffAccount)},
        tags=["users"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.END_SESSIONS)
        asked = self.optional_body(shapes.SessionsRevokeBody)
        ended = staff_administration.revoke_sessions(person, by=self.user, reason=asked["reason"])
        left = len(long_lived_credentials.list_long_lived_credentials(person))
        if asked["revoke_credentials"]:
            staff_administration.revoke_credentials(person, by=self.user, reason=asked["reason"])
        return Response(
            {"sessions_revoked": ended, "credentials": left, "credentials_revoked": asked["revoke_credentials"]}
        )


class PasswordResetView(UserApiView):
    """Mails the person a link; nobody here sees it."""

    @extend_schema(
        operation_id="staff_user_password_reset",
        summary="Mail a person a password reset",
        request=OptionalBody(shapes.OptionalReasonBody),
        responses={202: None, **problem_responses(StaffAccount, AccountNotActive)},
        tags=["users"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.RECOVER_USERS)
        staff_administration.send_password_reset(person, by=self.user, reason=self.reason())
        return Response(status=202)


class SecondFactorResetView(UserApiView):
    """For whoever lost her second factor and the recovery codes: she is logged out everywhere and told by mail."""

    @extend_schema(
        operation_id="staff_user_mfa_reset",
        summary="Remove a lost second factor",
        request=OptionalBody(shapes.OptionalReasonBody),
        responses={204: None, **problem_responses(StaffAccount, CannotResetOwnFactor, SecondFactorNotEnabled)},
        tags=["users"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.RECOVER_USERS)
        staff_administration.reset_second_factor(person, by=self.user, reason=self.reason())
        return Response(status=204)


class NotesView(UserApiView):
    @extend_schema(
        operation_id="staff_user_note",
        summary="Add a note about a person",
        request=shapes.NoteBody,
        responses={201: shapes.NewNoteShape},
        tags=["users"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.NOTE_USERS)
        note = staff_administration.add_note(person, by=self.user, text=self.body(shapes.NoteBody)["text"])
        return Response({"note": show.note(note)}, status=201)
