"""Login, second factor and logout of staff. Accounts are made by ``manage.py create_staff``."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.serializers import staff as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts import second_factor
from saas.accounts.models import Audience
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.accounts.second_factor import PendingLoginInvalid, SecondFactorEnabled, SecondFactorNotEnabled, WrongCode
from saas.accounts.sessions import logins
from saas.accounts.sessions.logins import InvalidCredentials, InvalidRefreshToken, RefreshReused, RefreshRotated
from saas.accounts.staff.staff_roles import permissions_of_roles
from saas.api import rate_limits
from saas.api.accounts.second_factor import ConfirmBody, SetupShape
from saas.api.accounts.security import CurrentPasswordBody
from saas.api.accounts.serializers import LoginBody, PendingMfaShape, RefreshBody, SecondFactorBody, UserShape
from saas.api.accounts.views import CsrfView, logout_response, set_session_cookie
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.representation import represent
from saas.api.views import PublicView


class StaffLoginView(PublicView):
    limits = (rate_limits.STAFF_LOGIN,)

    @extend_schema(
        operation_id="staff_login",
        summary="Log in",
        request=LoginBody,
        responses={
            200: shapes.EITHER_STAFF_LOGIN,
            **problem_responses(InvalidCredentials, TooManyAttempts, HashingBusy),
        },
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        login = logins.log_in(**self.body(LoginBody), audience=Audience.STAFF)
        if isinstance(login, logins.PendingMfa):
            return Response(represent(PendingMfaShape, login))
        set_session_cookie(request, login)
        return Response(shapes.represent_login(login))


class StaffSecondFactorView(PublicView):
    limits = (rate_limits.MFA,)

    @extend_schema(
        operation_id="staff_mfa_verify",
        summary="Log in: the second factor",
        request=SecondFactorBody,
        responses={200: shapes.StaffLoginShape, **problem_responses(WrongCode, PendingLoginInvalid, TooManyAttempts)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        login = second_factor.complete_login(**self.body(SecondFactorBody), audience=Audience.STAFF)
        set_session_cookie(request, login)
        return Response(shapes.represent_login(login))


class StaffRefreshView(PublicView):
    limits = (rate_limits.REFRESH,)

    @extend_schema(
        operation_id="staff_refresh",
        summary="Exchange a refresh token",
        request=RefreshBody,
        responses={
            200: shapes.StaffLoginShape,
            **problem_responses(InvalidRefreshToken, RefreshReused, RefreshRotated),
        },
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(RefreshBody)["refresh_token"]
        self.enforce_limits(rate_limits.refresh_family_limit(token))
        login = logins.exchange_refresh_token(token, audience=Audience.STAFF)
        return Response(shapes.represent_login(login))


class StaffTotpView(AdminApiView):
    """Sets up an authenticator: all that staff may do who still owe a second factor."""

    allows_missing_second_factor = True

    @extend_schema(
        operation_id="staff_mfa_begin",
        summary="Set up a second factor",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: SetupShape, **problem_responses(ReauthRequired, SecondFactorEnabled, TooManyAttempts)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        return Response(represent(SetupShape, second_factor.begin_totp_setup(self.user)))


class StaffConfirmView(AdminApiView):
    """Turns the second factor on by its first code; answers with a fresh login and the recovery codes, this once."""

    allows_missing_second_factor = True
    limits = (rate_limits.MFA,)

    @extend_schema(
        operation_id="staff_mfa_confirm",
        summary="Turn the second factor on",
        request=ConfirmBody,
        responses={200: shapes.StaffConfirmedShape, **problem_responses(SecondFactorEnabled, SecondFactorNotEnabled)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        login, codes = second_factor.confirm_totp_setup(self.session, self.body(ConfirmBody)["code"])
        set_session_cookie(request, login)
        return Response({**shapes.represent_login(login), "recovery_codes": codes})


class StaffLogoutView(AdminApiView):
    allows_missing_second_factor = True

    @extend_schema(operation_id="staff_logout", summary="Log out", request=None, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        logins.log_out(self.session)
        return logout_response(request)


class StaffCsrfView(CsrfView):
    """Sets the CSRF cookie and tells the token that a cookie client sends as ``X-CSRFToken`` when it writes."""


class StaffMeView(AdminApiView):
    allows_missing_second_factor = True

    @extend_schema(
        operation_id="staff_me", summary="Who am I, and what may I do", responses=shapes.StaffMeShape, tags=["auth"]
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "user": represent(UserShape, self.user),
                **shapes.roles_of_staff(self.roles),
                "permissions": sorted(permissions_of_roles(self.roles)),
            }
        )
