"""Sign in at an OAuth provider: begin and finish the authorization code flow.

The state is random but for the name of our key at its end, stored hashed, used once and bound to the browser that began. The
PKCE verifier and the nonce are derived from it under that key, so that no table holds them. The provider is called between
transactions, never in one.
"""

import hashlib
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
_RANDOM_BYTES, _KEY_ID_LENGTH = 26, 8  # of a state: together as long as a nonce, 43 characters
MAX_RETURN_TO = 500  # characters that ``OAuthState`` stores
ACCESS_DENIED = "access_denied"  # the person did not agree (RFC 6749, 4.1.2.1)


class OAuthStateInvalid(DomainError):
    code, title, status = "oauth_state_invalid", "This sign-in was not begun here, or is over. Begin again.", 400


class ReturnToNotAllowed(DomainError):
    code, title, status = "return_to_not_allowed", "This is not an address that we send people to.", 400


@dataclass(frozen=True)
class SignInResult:
    """The result of a callback. ``login`` is None if an identity was linked to a logged-in account, or if there is a
    ``refusal``."""

    login: Login | PendingMfa | None
    return_to: str
    refusal: DomainError | None = None

    @property
    def redirect_url(self) -> str:
        """Where to send the browser. A pending MFA token is put into the fragment, which no server sees: the page there asks
        for the second factor. A refusal's code is put into the query, so that a page without scripts can show it."""
        if self.return_to and self.refusal:
            page, mark, fragment = self.return_to.partition("#")
            return f"{page}{'&' if '?' in page else '?'}error={self.refusal.code}{mark}{fragment}"
        if not self.return_to or not isinstance(self.login, PendingMfa):
            return self.return_to
        return f"{self.return_to}{'&' if '#' in self.return_to else '#'}mfa_token={self.login.mfa_token}"


def get_provider(name: str) -> OAuthProvider:
    """Return a configured provider. Raises ``NotFound`` for any other."""
    found: OAuthProvider | None = settings.OAUTH_PROVIDERS.get(name)
    if found is None:
        raise NotFound("This sign-in provider is not configured.")
    return found


def begin_sign_in(
    provider: OAuthProvider,
    *,
    browser: str,
    return_to: str = "",
    session: LoginSession | None = None,
    at_pages: bool = False,
) -> str:
    """Return the URL at the provider. With ``session`` the identity is linked to its user instead of logging in; with
    ``at_pages`` the provider leads back to the host of the pages.

    Raises ``ReturnToNotAllowed``, ``IdentityProviderUnavailable`` and, for linking, ``EmailNotVerified``.
    """
    require_allowed_return_to(return_to)
    if session and session.user and not session.user.is_verified:
        raise EmailNotVerified  # a registrant of another person's address must not keep a login method in the account
    state = secrets.token_urlsafe(_RANDOM_BYTES) + _key_id(settings.SECRET_KEY)
    url = providers.authorization_url(
        provider,
        state=state,
        nonce=_derived("nonce", state),
        verifier=_derived("verifier", state),
        at_pages=at_pages,
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
    """The query of the callback (RFC 6749, 4.1.2): a code or an error, and the issuer (RFC 9207), if any. ``at_pages`` says at
    which of our hosts it came in, ``visitor_id`` who is logged in there; empty without a login."""

    state: str
    code: str = ""
    error: str = ""
    issuer: str = ""
    at_pages: bool = False
    visitor_id: str = ""


def finish_sign_in(provider: OAuthProvider, parameters: CallbackParameters, *, browser: str) -> SignInResult:
    """Log in, or link, the identity that the provider returns. Raises ``OAuthStateInvalid`` if the sign-in was not begun here.

    Any later refusal is returned in the result, which holds the page that the person wants to return to.
    """
    begun = _consume(provider, parameters.state, browser)
    try:
        return SignInResult(_finish(provider, parameters, begun), begun.return_to)
    except DomainError as refusal:
        return SignInResult(None, begun.return_to, refusal)


def _finish(provider: OAuthProvider, parameters: CallbackParameters, begun: OAuthState) -> Login | PendingMfa | None:
    state, code = parameters.state, parameters.code
    _require_issuer(provider, parameters.issuer)
    if parameters.error == ACCESS_DENIED:
        raise providers.SignInDeclined
    if parameters.error or not code:
        raise providers.CodeRefused
    identity = providers.fetch_identity(
        provider,
        code=code,
        nonce=_derived("nonce", state),
        verifier=_derived("verifier", state),
        at_pages=parameters.at_pages,
    )
    if begun.session_id is None:
        return log_in_by_identity(identity)
    session = LoginSession.objects.live().filter(pk=begun.session_id).first()
    if session is None or parameters.visitor_id not in {"", session.user_id}:
        raise OAuthStateInvalid  # who is logged in there by now would open another's account with their own identity
    link_identity(identity, session=session)
    return None


def _consume(provider: OAuthProvider, state: str, browser: str) -> OAuthState:
    """Use the state up by one DELETE whose row count decides a race; it commits before the provider is called."""
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
    """Require ``iss`` of a provider that announces it (RFC 9207); if another sends it, it must be right."""
    known = providers.discover_endpoints(provider)
    if not issuer and not known.sends_issuer:
        return
    if issuer not in known.issuer_names and "{tenantid}" not in known.issuer:
        raise OAuthStateInvalid


def _derived(purpose: str, state: str) -> str:
    """Return a value that belongs to ``state``, under the key that the process which began the sign-in signs with."""
    keys = {_key_id(key): key for key in (*settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY)}
    key = keys.get(state[-_KEY_ID_LENGTH:], settings.SECRET_KEY)
    digest = salted_hmac(f"saas.accounts.oauth.{purpose}", state, secret=key, algorithm="sha256").digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _key_id(key: str) -> str:
    """Return a short name for a key that reveals nothing about it."""
    return hashlib.sha256(b"sign-in key id:" + key.encode()).hexdigest()[:_KEY_ID_LENGTH]


def require_allowed_return_to(return_to: str) -> None:
    """Raise ``ReturnToNotAllowed`` unless ``return_to`` is empty or a plainly written URL at one of our own origins."""
    if not return_to:
        return
    try:
        parts = urlsplit(return_to)
    except ValueError as error:
        raise ReturnToNotAllowed from error
    ours = map(urlsplit, (settings.FRONTEND_BASE_URL, settings.SERVICE_BASE_URLS["product"]))
    origins = {*(f"{own.scheme}://{own.netloc}" for own in ours), *settings.CORS_ALLOWED_ORIGINS}
    is_plain = return_to.isascii() and return_to.isprintable() and not set(return_to) & set("\\ @")
    if not is_plain or f"{parts.scheme}://{parts.netloc}" not in origins:
        raise ReturnToNotAllowed
