"""Signing in through a provider: the two halves of the authorization code flow.

The state is random, stored hashed, used once and bound to the browser that began. The PKCE verifier and the nonce are
derived from it under our key, so that no table holds them. The network is called between two transactions, never in one.
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.models import LoginSession, OAuthState
from saas.accounts.oauth import providers
from saas.accounts.oauth.identities import link_identity, log_in_by_identity
from saas.accounts.sessions.logins import Login, PendingMfa
from saas.accounts.sessions.tokens import hash_token
from saas.errors import DomainError, NotFound
from saas.settings.accounts import OAuthProvider

STATE_LIFETIME = timedelta(minutes=10)
ACCESS_DENIED = "access_denied"  # what a provider calls it when a person does not agree (RFC 6749, 4.1.2.1)


class OAuthStateInvalid(DomainError):
    code, title, status = "oauth_state_invalid", "This sign-in was not begun here, or is over. Begin again.", 400


class ReturnToNotAllowed(DomainError):
    code, title, status = "return_to_not_allowed", "This is not an address that we send people to.", 400


@dataclass(frozen=True)
class SignInResult:
    """Somebody came back. ``login`` is None if a provider was linked to an account that was logged in already, and where
    ``refusal`` says why nobody was logged in."""

    login: Login | PendingMfa | None
    return_to: str
    refusal: DomainError | None = None

    @property
    def redirect_url(self) -> str:
        """Where the browser goes. Half a login goes along in the fragment, which no server sees: the page there asks for
        the second factor. A refusal's code goes along in the query, so that a page without scripts can tell of it."""
        if self.return_to and self.refusal:
            page, mark, fragment = self.return_to.partition("#")
            return f"{page}{'&' if '?' in page else '?'}error={self.refusal.code}{mark}{fragment}"
        if not self.return_to or not isinstance(self.login, PendingMfa):
            return self.return_to
        return f"{self.return_to}{'&' if '#' in self.return_to else '#'}mfa_token={self.login.mfa_token}"


def get_provider(name: str) -> OAuthProvider:
    """A configured provider. Raises ``NotFound`` for any other."""
    found: OAuthProvider | None = settings.OAUTH_PROVIDERS.get(name)
    if found is None:
        raise NotFound("This sign-in provider is not configured.")
    return found


def begin_sign_in(
    provider: OAuthProvider, *, browser: str, return_to: str = "", session: LoginSession | None = None
) -> str:
    """The address at the provider. With ``session`` the identity is linked to its user instead of logging in.

    Raises ``ReturnToNotAllowed``, ``ProviderUnavailable`` and, for linking, ``EmailNotVerified``.
    """
    require_allowed_return_to(return_to)
    if session and session.user and not session.user.is_verified:
        raise EmailNotVerified  # somebody who squats on an address must not leave a door of her own in it
    state = secrets.token_urlsafe(32)
    url = providers.authorization_url(
        provider, state=state, nonce=_derived("nonce", state), verifier=_derived("verifier", state)
    )
    _remember(provider, state, browser=browser, return_to=return_to, session=session)
    return url


@transaction.atomic
def _remember(
    provider: OAuthProvider, state: str, *, browser: str, return_to: str, session: LoginSession | None
) -> None:
    now = timezone.now()
    OAuthState.objects.filter(expires_at__lte=now).delete()
    OAuthState.objects.create(
        state_hash=hash_token(state),
        provider=provider.name,
        browser_hash=hash_token(browser),
        return_to=return_to,
        session=session,
        expires_at=now + STATE_LIFETIME,
    )


@dataclass(frozen=True)
class CallbackParameters:
    """What the provider appended to our address (RFC 6749, 4.1.2): a code or an error, and its name (RFC 9207), if any."""

    state: str
    code: str = ""
    error: str = ""
    issuer: str = ""


def finish_sign_in(provider: OAuthProvider, answered: CallbackParameters, *, browser: str) -> SignInResult:
    """Log in (or link) whoever the provider says came back. Raises ``OAuthStateInvalid`` for what was not begun here;
    whatever is wrong afterwards is the ``refusal`` of the result, which knows where the person wants to go."""
    begun = _consume(provider, answered.state, browser)
    try:
        return SignInResult(_finish(provider, answered, begun), begun.return_to)
    except DomainError as refusal:
        return SignInResult(None, begun.return_to, refusal)


def _finish(provider: OAuthProvider, answered: CallbackParameters, begun: OAuthState) -> Login | PendingMfa | None:
    state, code = answered.state, answered.code
    _require_issuer(provider, answered.issuer)
    if answered.error == ACCESS_DENIED:
        raise providers.SignInDeclined
    if answered.error or not code:
        raise providers.CodeRefused
    identity = providers.fetch_identity(
        provider, code=code, nonce=_derived("nonce", state), verifier=_derived("verifier", state)
    )
    if begun.session_id is None:
        return log_in_by_identity(identity)
    link_identity(identity, session=_still_live(begun.session_id))
    return None


def _consume(provider: OAuthProvider, state: str, browser: str) -> OAuthState:
    """Single use by one DELETE whose row count says who won; it commits before the provider is asked."""
    mine = OAuthState.objects.filter(
        state_hash=hash_token(state),
        provider=provider.name,
        browser_hash=hash_token(browser),
        expires_at__gt=timezone.now(),
    )
    begun = mine.first()
    if begun is None or not mine.delete()[0]:
        raise OAuthStateInvalid
    return begun


def _require_issuer(provider: OAuthProvider, issuer: str) -> None:
    """A provider that says it names itself in its answers (RFC 9207) must; whoever does it unasked must be right."""
    known = providers.discover_endpoints(provider)
    if not issuer and not known.sends_issuer:
        return
    if issuer not in known.issuer_names and "{tenantid}" not in known.issuer:
        raise OAuthStateInvalid


def _still_live(session_id: str) -> LoginSession:
    session = LoginSession.objects.live().filter(pk=session_id).first()
    if session is None:
        raise OAuthStateInvalid
    return session


def _derived(purpose: str, state: str) -> str:
    digest = salted_hmac(f"saas.accounts.oauth.{purpose}", state, algorithm="sha256").digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def require_allowed_return_to(return_to: str) -> None:
    """Raise unless ``return_to`` is empty or an address at one of our own origins, written plainly."""
    if not return_to:
        return
    try:
        parts = urlsplit(return_to)
    except ValueError as error:
        raise ReturnToNotAllowed from error
    is_plain = return_to.isascii() and return_to.isprintable() and not set(return_to) & set("\\ @")
    if not is_plain or f"{parts.scheme}://{parts.netloc}" not in _return_origins():
        raise ReturnToNotAllowed


def _return_origins() -> set[str]:
    ours = [settings.FRONTEND_BASE_URL, settings.SERVICE_BASE_URLS["product"]]
    return {*(f"{p.scheme}://{p.netloc}" for p in map(urlsplit, ours)), *settings.CORS_ALLOWED_ORIGINS}
