"""Authentication by bearer token or by session cookie: both lead to a ``LoginSession`` row, with one query."""

from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from saas import request_context
from saas.accounts.models import Audience, Impersonation, LoginSession, User
from saas.accounts.sessions import session_store, tokens
from saas.accounts.staff import impersonations
from saas.api.client_address import is_allowed_origin


@dataclass(frozen=True)
class SessionCredential:
    """``request.auth``: the session, the token if there was one, and the impersonation if a member of staff acts for the user."""

    session: LoginSession
    token: tokens.AccessToken | None = None
    impersonation: Impersonation | None = None


def _credential(session: LoginSession, token: tokens.AccessToken) -> SessionCredential:
    """The session row, not the token, decides whether this is an impersonation."""
    if session.methods != impersonations.METHOD:
        return SessionCredential(session, token)
    if row := impersonations.running_impersonation(session):
        return SessionCredential(session, token, row)
    raise AuthenticationFailed("This session has ended.", "invalid_token")


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer …``. An unusable header is a 401: it never falls back to the cookie."""

    audience: ClassVar[Audience]

    def authenticate(self, request: Request) -> tuple[User, SessionCredential] | None:
        if "HTTP_AUTHORIZATION" not in request.META:
            return None
        scheme, _, raw = request.META["HTTP_AUTHORIZATION"].partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("Use a bearer token.", "invalid_token")
        return self._authenticate_token(raw.strip())

    def _authenticate_token(self, raw: str) -> tuple[User, SessionCredential]:
        try:
            token = tokens.read_access_token(raw, self.audience)
        except tokens.BadToken as error:
            raise AuthenticationFailed("This token is not valid.", "invalid_token") from error
        session = session_store.find_session_by_token(token["sid"], self.audience, token["sub"])
        if session is None or session.user is None:
            raise AuthenticationFailed("This session has ended.", "invalid_token")
        credential = _credential(session, token)
        session_store.update_last_seen(session, timezone.now())
        request_context.set_user(session.user_id)
        return session.user, credential

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="saas"' + (', error="invalid_token"' if "HTTP_AUTHORIZATION" in request.META else "")


class LogoutBearer(BearerAuthentication):
    """For logging out: accept an authentic token that has expired or whose session has ended."""

    audience = Audience.CUSTOMER

    def _authenticate_token(self, raw: str) -> tuple[User, SessionCredential]:
        try:
            token = tokens.read_access_token_for_logout(raw, self.audience)
        except tokens.BadToken as error:
            raise AuthenticationFailed("This token is not valid.", "invalid_token") from error
        mine = LoginSession.objects.filter(sid=token["sid"], audience=self.audience).select_related("user")
        session = mine.first()
        if session is None or session.user is None or session.user_id != token["sub"]:
            raise AuthenticationFailed("This session has ended.", "invalid_token")
        return session.user, _credential(session, token)


class CookieAuthentication(BaseAuthentication):
    """The session cookie. Writes must send the CSRF token."""

    audience: ClassVar[Audience]

    def authenticate(self, request: Request) -> tuple[User, SessionCredential] | None:
        session = request._request.session.live_session()  # type: ignore[attr-defined]
        if session is None or session.audience != self.audience:
            return None
        require_csrf_token(request._request)
        session_store.update_last_seen(session, timezone.now())
        request_context.set_user(str(session.user_id))
        return session.user, SessionCredential(session)


class CustomerBearer(BearerAuthentication):
    audience = Audience.CUSTOMER


class CustomerCookie(CookieAuthentication):
    audience = Audience.CUSTOMER


class StaffBearer(BearerAuthentication):
    audience = Audience.STAFF


class StaffCookie(CookieAuthentication):
    audience = Audience.STAFF


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check with our list of origins; it returns the reason instead of a response."""

    def _origin_verified(self, request: HttpRequest) -> bool:
        return is_allowed_origin(request.META["HTTP_ORIGIN"])

    def _check_referer(self, request: HttpRequest) -> None:
        """A program sends neither ``Origin`` nor ``Referer``; Django would refuse it over https, and there alone."""
        if request.META.get("HTTP_REFERER"):
            super()._check_referer(request)  # type: ignore[misc]

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def require_csrf_token(request: HttpRequest) -> None:
    """Raise 403 ``csrf_failed`` for a write without the token that ``GET /auth/csrf`` gives."""
    check = _CsrfCheck(lambda _: None)  # type: ignore[arg-type]
    check.process_request(request)
    if reason := check.process_view(request, None, (), {}):  # type: ignore[arg-type]
        raise PermissionDenied(str(reason), "csrf_failed")


# Several classes are one documented scheme; without this drf-spectacular would warn of a name collision.
set_override(BearerAuthentication, "suppress_collision_warning", True)
set_override(CookieAuthentication, "suppress_collision_warning", True)


class _BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    match_subclasses = True
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of a login. An unusable one is 401, also beside a good cookie.",
        }


class _CookieScheme(OpenApiAuthenticationExtension):
    target_class = CookieAuthentication
    match_subclasses = True
    name = "cookie"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The session cookie of a login. A request that writes needs the CSRF token, too, as `X-CSRFToken`.",
        }
