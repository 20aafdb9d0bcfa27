"""Register, log in, refresh, log out; the current user, sessions and the profile."""

from django.middleware.csrf import get_token, rotate_token
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts import actions
from saas.accounts.actions import EmailTaken
from saas.accounts.email_addresses import InvalidAddress
from saas.accounts.metadata import MetadataReadOnly
from saas.accounts.models import Audience, LoginSession, Profile
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.sessions import logins, signing_keys
from saas.accounts.sessions.logins import InvalidCredentials, InvalidRefreshToken, RefreshReused, RefreshRotated
from saas.accounts.sessions.session_store import SessionStore
from saas.api import rate_limits
from saas.api.accounts import device_cookie
from saas.api.accounts import serializers as shapes
from saas.api.authentication import CustomerCookie, LogoutBearer
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.api.representation import represent, represent_all
from saas.api.views import CustomerView, PublicView
from saas.errors import Invalid, NotFound

JWKS_SECONDS = 300  # a new key must be published for longer than this before it signs


def first_factor_response(request: Request, result: logins.Login | logins.PendingMfa) -> Response:
    """Build the response to a right first factor: the login, or the token for the second factor."""
    if isinstance(result, logins.PendingMfa):
        return Response(represent(shapes.PendingMfaShape, result))
    return login_response(request, result, status=200)


def login_response(request: Request, login: logins.Login, *, status: int) -> Response:
    """Build the response to a login: the tokens in the body, and the session cookie."""
    set_session_cookie(request, login)
    return Response(represent(shapes.LoginShape, login), status=status)


def set_session_cookie(request: Request, login: logins.Login) -> None:
    """Set the session cookie, a new CSRF token, and the cookie that makes the device known."""
    request._request.session = SessionStore.for_login(login.cookie_key, login.session)
    rotate_token(request._request)
    device_cookie.remember_device(request._request, login.user)


def replace_session_cookie(request: Request, login: logins.Login) -> None:
    """Set the cookie in a browser, and end the same person's login that it replaces there: no cookie leads to it any more."""
    replaced = request._request.session.live_session()  # type: ignore[attr-defined]
    set_session_cookie(request, login)
    if replaced and replaced.user_id == login.user.pk:
        logins.log_out(replaced)


class RegisterView(PublicView):
    limits = (rate_limits.REGISTER, rate_limits.REGISTER_HOURLY)

    @extend_schema(
        operation_id="register",
        summary="Register",
        request=shapes.RegisterBody,
        responses={201: shapes.LoginShape, **problem_responses(EmailTaken, InvalidAddress, HashingBusy)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.RegisterBody)
        user = actions.new_customer(**body)  # a password that is refused is no attempt at the account
        self.enforce_limits(rate_limits.register_account_limit(user.email_canonical))
        login = actions.register_customer(user, password=body["password"])
        return login_response(request, login, status=201)


class LoginView(PublicView):
    limits = (rate_limits.LOGIN,)

    @extend_schema(
        operation_id="login",
        summary="Log in",
        request=shapes.LoginBody,
        responses={
            200: shapes.LOGIN_OR_PENDING_MFA,
            **problem_responses(InvalidCredentials, TooManyAttempts, HashingBusy),
        },
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        login = logins.log_in(**self.body(shapes.LoginBody), audience=Audience.CUSTOMER)
        return first_factor_response(request, login)


class RefreshView(PublicView):
    limits = (rate_limits.REFRESH,)

    @extend_schema(
        operation_id="refresh",
        summary="Exchange a refresh token",
        request=shapes.RefreshBody,
        responses={200: shapes.LoginShape, **problem_responses(InvalidRefreshToken, RefreshReused, RefreshRotated)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(shapes.RefreshBody)["refresh_token"]
        self.enforce_limits(rate_limits.refresh_family_limit(token))
        login = logins.exchange_refresh_token(token, audience=Audience.CUSTOMER)
        return Response(represent(shapes.LoginShape, login))


class LogoutView(CustomerView):
    authentication_classes = (LogoutBearer, CustomerCookie)

    @extend_schema(operation_id="logout", summary="Log out", request=None, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        logins.log_out(self.session)
        return logout_response(request)


class LogoutAllView(CustomerView):
    """Ends every session. Long-lived credentials (API keys, sent invitations) are listed, if there are any, and stay
    unless ``revoke_credentials`` is set."""

    @extend_schema(
        operation_id="logout_all",
        summary="Log out everywhere",
        request=OptionalBody(shapes.LogoutAllBody),
        responses={200: shapes.LongLivedCredentialsShape, 204: None, **problem_responses(Invalid)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        asked = self.optional_body(shapes.LogoutAllBody)
        credentials = logins.log_out_everywhere(self.user, **asked)
        device_cookie.remember_device(request._request, self.user)
        answer = logout_response(request)
        if credentials:
            answer = Response(
                {
                    "credentials": represent_all(shapes.CredentialShape, credentials),
                    "revoked": asked["revoke_credentials"],
                }
            )
        return answer


def logout_response(request: Request) -> Response:
    """Build the empty response to a logout, which removes the cookie."""
    request._request.session = SessionStore()
    return Response(status=204)


class CsrfView(PublicView):
    """Sets the CSRF cookie and returns the token that a cookie client sends as ``X-CSRFToken`` when it writes."""

    @extend_schema(operation_id="csrf", summary="Get a CSRF token", responses=shapes.CsrfShape, tags=["auth"])
    def get(self, request: Request) -> Response:
        return Response({"csrf_token": get_token(request._request)})


class JwksView(PublicView):
    """The public keys of customers' access tokens, for services in any language."""

    @extend_schema(
        operation_id="jwks", summary="Get the public keys of access tokens", responses=shapes.JwksShape, tags=["auth"]
    )
    def get(self, request: Request) -> Response:
        return Response(signing_keys.jwks(), headers={"Cache-Control": f"public, max-age={JWKS_SECONDS}"})


class MeView(CustomerView):
    @extend_schema(operation_id="me", summary="Who am I", responses=shapes.MeShape, tags=["auth"])
    def get(self, request: Request) -> Response:
        acting = self.impersonation and represent(shapes.ImpersonationShape, self.impersonation)
        return Response({"user": represent(shapes.UserShape, self.user), "impersonation": acting})


class SessionsView(CustomerView):
    @extend_schema(
        operation_id="sessions",
        summary="List the sessions",
        parameters=[PageQuery],
        responses=shapes.SessionsShape,
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(LoginSession.objects.usable().filter(user=self.user), key="sid", **self.query(PageQuery))
        rows = [represent(shapes.SessionShape, row, current=row.pk == self.session.pk) for row in page.items]
        return Response({"sessions": rows, **page.meta})

    @extend_schema(
        operation_id="sessions_revoke_others", summary="End every other session", responses={204: None}, tags=["auth"]
    )
    def delete(self, request: Request) -> Response:
        """Ends every session but this one. (``logout-all`` ends this one, too.)"""
        logins.log_out_elsewhere(self.session)
        return Response(status=204)


class SessionView(CustomerView):
    @extend_schema(operation_id="session_revoke", summary="End a session", responses={204: None}, tags=["auth"])
    def delete(self, request: Request, sid: str) -> Response:
        session = LoginSession.objects.live().filter(user=self.user, sid=sid).first()
        if session is None:
            raise NotFound
        logins.log_out(session)
        return Response(status=204)


class ProfileView(CustomerView):
    impersonated_writes = True

    @extend_schema(operation_id="profile", summary="Get the profile", responses=shapes.ProfileShape, tags=["users"])
    def get(self, request: Request) -> Response:
        return Response(represent(shapes.ProfileShape, Profile.objects.select_related("user").get(user=self.user)))

    @extend_schema(
        operation_id="profile_put",
        summary="Set the profile",
        request=shapes.ProfileBody,
        responses={200: shapes.ProfileShape, **problem_responses(MetadataReadOnly)},
        tags=["users"],
    )
    def put(self, request: Request) -> Response:
        return self._update()

    @extend_schema(
        operation_id="profile_patch",
        summary="Change the profile",
        request=shapes.ProfileBody,
        responses={200: shapes.ProfileShape, **problem_responses(MetadataReadOnly)},
        tags=["users"],
    )
    def patch(self, request: Request) -> Response:
        return self._update()

    def _update(self) -> Response:
        profile = actions.update_profile(self.user, self.body(shapes.ProfileBody))
        return Response(represent(shapes.ProfileShape, profile))
