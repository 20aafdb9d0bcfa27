"""Sign in at an OAuth provider, and link one to an account."""

import secrets
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts.actions import RegistrationClosed
from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.models import OAuthIdentity
from saas.accounts.oauth import identities, sign_in
from saas.accounts.oauth.http_client import IdentityProviderUnavailable
from saas.accounts.oauth.identities import (
    AccountExists,
    IdentityTaken,
    LastLoginMethod,
    NoUsableAddress,
    ProviderLinked,
)
from saas.accounts.oauth.providers import CodeRefused, IdTokenInvalid, SignInDeclined
from saas.accounts.oauth.sign_in import OAuthStateInvalid, ReturnToNotAllowed
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.accounts.sessions.logins import InvalidCredentials, Login, PendingMfa
from saas.api import rate_limits
from saas.api.accounts.pending_login_cookie import PENDING_LOGIN
from saas.api.accounts.security import CurrentPasswordBody
from saas.api.accounts.serializers import LoginShape, PendingMfaShape
from saas.api.accounts.views import first_factor_response, replace_session_cookie, set_session_cookie
from saas.api.fields import StrictCharField
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pages.errors import accepts_html
from saas.api.representation import represent_all
from saas.api.views import CustomerView, PublicView
from saas.errors import DomainError, Invalid, NotFound
from saas.settings.accounts import OAuthProvider

Answer = TypeVar("Answer", bound=HttpResponseBase)
BROWSER_COOKIE_SECONDS = int(sign_in.STATE_LIFETIME.total_seconds())
MAX_COOKIE = 100


class StartQuery(serializers.Serializer[Any]):
    return_to = StrictCharField(max_length=sign_in.MAX_RETURN_TO, required=False, default="", allow_blank=True)


class CallbackBody(serializers.Serializer[Any]):
    """What the provider appended to our URL: ``code``, or ``error`` if the person declined."""

    state = StrictCharField(max_length=200, required=False, default="", allow_blank=True)
    code = StrictCharField(max_length=4096, required=False, default="", allow_blank=True)
    error = StrictCharField(max_length=200, required=False, default="", allow_blank=True)
    iss = StrictCharField(max_length=500, required=False, default="", allow_blank=True)


class LinkBody(CurrentPasswordBody):
    return_to = StrictCharField(max_length=sign_in.MAX_RETURN_TO, required=False, default="", allow_blank=True)


class ProvidersShape(serializers.Serializer[Any]):
    providers = serializers.ListField(child=serializers.CharField())


class ProviderLoginShape(LoginShape):
    provider = serializers.CharField()


@extend_schema_serializer(component_name="HalfProviderLogin")
class PendingProviderMfaShape(PendingMfaShape):
    provider = serializers.CharField()


class LinkedShape(serializers.Serializer[Any]):
    """The identity that ``link`` began with is linked; there is no new login."""

    provider = serializers.CharField()
    linked = serializers.BooleanField()


CALLBACK_RESULT = PolymorphicProxySerializer(
    component_name="CameBack",
    serializers=[ProviderLoginShape, PendingProviderMfaShape, LinkedShape],
    resource_type_field_name=None,
)


CALLBACK_REFUSALS: tuple[type[DomainError], ...] = (
    CodeRefused,
    SignInDeclined,
    OAuthStateInvalid,
    IdTokenInvalid,
    InvalidCredentials,
    AccountExists,
    IdentityTaken,
    ProviderLinked,
    NoUsableAddress,
    RegistrationClosed,
    IdentityProviderUnavailable,
)
CALLBACK_ANSWERS = {200: CALLBACK_RESULT, 303: None, **problem_responses(*CALLBACK_REFUSALS)}


class LinkShape(serializers.Serializer[Any]):
    authorization_url = serializers.CharField()


class IdentityShape(serializers.Serializer[Any]):
    provider = serializers.CharField()
    email = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_login_at = serializers.DateTimeField()


class IdentitiesShape(serializers.Serializer[Any]):
    identities = IdentityShape(many=True)


class ProvidersView(PublicView):
    @extend_schema(
        operation_id="oauth_providers", summary="List the sign-in providers", responses=ProvidersShape, tags=["oauth"]
    )
    def get(self, request: Request) -> Response:
        return Response({"providers": sorted(settings.OAUTH_PROVIDERS)})


def is_host_of_pages(request: HttpRequest | Request) -> bool:
    """Whether the request came to the host of the front pages, where its cookies stay."""
    return settings.FRONT_PAGES and request.get_host() == urlsplit(settings.FRONTEND_BASE_URL).netloc


class StartView(PublicView):
    """Sends the browser to the provider. ``return_to`` is where it goes afterwards, with the session cookie."""

    limits = (rate_limits.OAUTH,)

    @extend_schema(
        operation_id="oauth_start",
        summary="Sign in at a provider",
        parameters=[StartQuery],
        responses={307: None, **problem_responses(ReturnToNotAllowed, IdentityProviderUnavailable)},
        tags=["oauth"],
    )
    def get(self, request: Request, provider: str) -> Response:
        chosen = sign_in.get_provider(provider)
        browser = browser_id_or_new(request)
        url = sign_in.begin_sign_in(
            chosen, browser=browser, at_pages=is_host_of_pages(request), **self.query(StartQuery)
        )
        return set_browser_cookie(Response(status=307, headers={"Location": url}), browser)


class CallbackView(PublicView):
    """Comes back from the provider. An app that posts ``state`` and ``code`` keeps its cookies from the start."""

    limits = (rate_limits.OAUTH,)

    @extend_schema(
        operation_id="oauth_callback",
        summary="Come back from a provider",
        parameters=[CallbackBody],
        responses=CALLBACK_ANSWERS,
        tags=["oauth"],
    )
    def get(self, request: Request, provider: str) -> Response:
        return self._finish(request, sign_in.get_provider(provider), self.query(CallbackBody))

    @extend_schema(
        operation_id="oauth_callback_post",
        summary="Come back from a provider, from an app",
        request=CallbackBody,
        responses=CALLBACK_ANSWERS,
        tags=["oauth"],
    )
    def post(self, request: Request, provider: str) -> Response:
        return self._finish(request, sign_in.get_provider(provider), self.body(CallbackBody))

    def _finish(self, request: Request, provider: OAuthProvider, sent: dict[str, str]) -> Response:
        answered = sign_in.CallbackParameters(
            sent["state"],
            sent["code"],
            sent["error"],
            sent["iss"],
            is_host_of_pages(request),
            visitor_id=_visitor_id(request),
        )
        try:
            back = sign_in.finish_sign_in(provider, answered, browser=browser_id(request))
        except OAuthStateInvalid as refusal:
            return _led_to_the_login(request, refusal)
        if back.refusal:
            return _refused(request, back, back.refusal)
        if back.redirect_url:
            return _led_back(request, back)
        if back.login is None:
            return Response({"provider": provider.name, "linked": True})
        answer = first_factor_response(request, back.login)
        answer.data["provider"] = provider.name
        return answer


def _led_back(request: Request, back: sign_in.SignInResult) -> Response:
    """Redirect a browser to the page that it came from, with the cookie of its login or of the second step."""
    if isinstance(back.login, Login):
        set_cookie = replace_session_cookie if _leads_to_our_pages(back) else set_session_cookie
        set_cookie(request, back.login)
    redirect = Response(status=303, headers={"Location": back.redirect_url})
    if settings.FRONT_PAGES and back.login:
        _remember_second_step(redirect, back.login)
    return redirect


def _leads_to_our_pages(back: sign_in.SignInResult) -> bool:
    """Whether one of our pages began it. In an app the earlier login goes on, for the app may hold its tokens."""
    return settings.FRONT_PAGES and back.redirect_url.startswith(f"{settings.FRONTEND_BASE_URL}{PENDING_LOGIN.path}/")


def _remember_second_step(answer: Response, login: Login | PendingMfa) -> None:
    """For the page of the second step; a whole login ends an earlier one that waits for it."""
    if isinstance(login, PendingMfa):
        PENDING_LOGIN.set(answer, login.mfa_token)
    else:
        PENDING_LOGIN.clear(answer)


def _visitor_id(request: Request) -> str:
    """Who is logged in in the browser that the provider led back; empty for an app, whose tokens decide and not its cookie."""
    session = request._request.session.live_session() if request.method == "GET" else None  # type: ignore[attr-defined]
    return str(session.user_id) if session else ""


def _led_to_the_login(request: Request, refusal: OAuthStateInvalid) -> Response:
    """It is not known where such a sign-in began: a person goes to our own login page, if there is one."""
    if request.method == "GET" and settings.FRONT_PAGES and accepts_html(request._request):
        address = f"{settings.FRONTEND_BASE_URL}{PENDING_LOGIN.path}?error={refusal.code}"
        return Response(status=303, headers={"Location": address})
    raise refusal


def _refused(request: Request, back: sign_in.SignInResult, refusal: DomainError) -> Response:
    """Redirect a browser to the page that it came from; let a program read the problem."""
    if request.method == "POST" or not back.return_to:
        raise refusal
    return Response(status=303, headers={"Location": back.redirect_url})


class LinkView(CustomerView):
    """Begins a sign-in whose end adds the provider to this account. Needs a login of the last minutes or the password."""

    limits = (rate_limits.OAUTH,)

    @extend_schema(
        operation_id="oauth_link",
        summary="Link a provider account",
        request=LinkBody,
        responses={
            200: LinkShape,
            **problem_responses(
                ReauthRequired, EmailNotVerified, ReturnToNotAllowed, TooManyAttempts, IdentityProviderUnavailable
            ),
        },
        tags=["oauth"],
    )
    def post(self, request: Request, provider: str) -> Response:
        chosen, body = sign_in.get_provider(provider), self.body(LinkBody)
        require_recent_login(self.session, current_password=body["current_password"])
        browser = browser_id_or_new(request)
        url = sign_in.begin_sign_in(
            chosen,
            browser=browser,
            return_to=body["return_to"],
            session=self.session,
            at_pages=is_host_of_pages(request),
        )
        return set_browser_cookie(Response({"authorization_url": url}), browser)


class IdentitiesView(CustomerView):
    @extend_schema(
        operation_id="identities",
        summary="List the linked provider accounts",
        responses=IdentitiesShape,
        tags=["oauth"],
    )
    def get(self, request: Request) -> Response:
        rows = OAuthIdentity.objects.filter(user=self.user).order_by("provider")
        return Response({"identities": represent_all(IdentityShape, rows)})


class IdentityView(CustomerView):
    @extend_schema(
        operation_id="identity_unlink",
        summary="Unlink a provider account",
        request=OptionalBody(CurrentPasswordBody),
        responses={204: None, **problem_responses(ReauthRequired, LastLoginMethod, TooManyAttempts, Invalid)},
        tags=["oauth"],
    )
    def delete(self, request: Request, provider: str) -> Response:
        if not OAuthIdentity.objects.filter(user=self.user, provider=provider).exists():
            raise NotFound
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        identities.unlink_identity(self.user, provider=provider)
        return Response(status=204)


def browser_id_or_new(request: Request) -> str:
    """Return the random id of this browser, or a new one. Two tabs share it, so both may sign in at once."""
    return browser_id(request) or secrets.token_urlsafe(32)


def browser_id(request: Request) -> str:
    return request.COOKIES.get(_cookie_name(), "")[:MAX_COOKIE]


def set_browser_cookie(response: Answer, browser: str) -> Answer:
    """Set the browser's id cookie: Lax, because the provider's redirect is a navigation from another site."""
    response.set_cookie(
        _cookie_name(),
        browser,
        max_age=BROWSER_COOKIE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _cookie_name() -> str:
    return "__Host-oauth" if settings.SESSION_COOKIE_SECURE else "oauth_browser"
