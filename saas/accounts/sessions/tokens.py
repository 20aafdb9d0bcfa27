"""Access tokens (ES256 JWT by simplejwt, RFC 9068) and random refresh tokens."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from saas.accounts.models import Audience, Impersonation, LoginSession
from saas.accounts.sessions import session_lifetimes, signing_keys

REFRESH_PREFIX = "rt_"
HEADER_TYPE = "at+jwt"
MAX_TOKEN_LENGTH = 4096
CLOCK_LEEWAY_SECONDS = 30  # how much the clocks of two machines may differ
REQUIRED_CLAIMS = ["exp", "iat", "nbf", "iss", "aud", "sub", "sid", "jti"]

BadToken = TokenError


class KeyRingBackend(TokenBackend):
    """simplejwt's backend with one signing key, several verification keys, and a header that names the key (``kid``)."""

    def __init__(self, audience: str) -> None:
        super().__init__("ES256", audience=audience, issuer=settings.JWT_ISSUER, leeway=CLOCK_LEEWAY_SECONDS)
        self.intended = audience

    def encode(self, payload: dict[str, Any]) -> str:
        key = signing_keys.signing_key(self.intended)
        claims = {**payload, "aud": self.intended, "iss": settings.JWT_ISSUER}
        return jwt.encode(claims, key.private, "ES256", headers={"kid": key.kid, "typ": HEADER_TYPE})  # type: ignore[arg-type]

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Verify and decode. Without ``verify`` an expired token is accepted; everything else is still checked."""
        try:
            header = jwt.get_unverified_header(token)
            key = signing_keys.verification_keys(self.intended).get(header.get("kid", ""))
            if key is None or header.get("typ") != HEADER_TYPE:
                raise TokenBackendError("Token is invalid")
            return jwt.decode(
                token,
                key.public,
                algorithms=["ES256"],
                audience=self.intended,
                issuer=settings.JWT_ISSUER,
                leeway=self.get_leeway(),
                options={"require": REQUIRED_CLAIMS, "strict_aud": True, "verify_exp": verify},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise TokenBackendError("Token is invalid") from error


class AccessToken(Token):
    """``sub`` is the user, ``sid`` the session, ``act`` the member of staff who impersonates the user, if one does.

    Roles and permissions are never in a token: they are read from the database on every request.
    """

    token_type = "access"
    lifetime = timedelta(minutes=15)  # replaced by the audience's own from ``session_lifetimes``
    audience: ClassVar[str]

    @cached_property
    def backend(self) -> KeyRingBackend:
        return KeyRingBackend(self.audience)

    def get_token_backend(self) -> TokenBackend:
        return self.backend


class CustomerToken(AccessToken):
    audience = Audience.CUSTOMER


class StaffToken(AccessToken):
    audience = Audience.STAFF


_CLASSES: dict[str, type[AccessToken]] = {Audience.CUSTOMER: CustomerToken, Audience.STAFF: StaffToken}


def issue_access_token(session: LoginSession) -> str:
    """Return a signed access token of ``session``."""
    token = _CLASSES[session.audience]()
    token.set_exp(lifetime=session_lifetimes.lifetimes_for(session.audience).access_token)
    token["nbf"] = token["iat"]
    token["sub"] = session.user_id
    token["sid"] = session.sid
    token["amr"] = session.methods.split()
    token["auth_time"] = int(session.authenticated_at.timestamp())
    return str(token)


def issue_impersonation_token(impersonation: Impersonation) -> str:
    """Return a signed access token in a customer's name; ``act`` names the member of staff (RFC 8693)."""
    token = CustomerToken()
    token.set_exp(from_time=impersonation.started_at, lifetime=impersonation.ends_at - impersonation.started_at)
    token["nbf"] = token["iat"]
    token["sub"] = impersonation.session.user_id
    token["sid"] = impersonation.session.sid
    token["act"] = {"sub": impersonation.staff_session.user_id, "sid": impersonation.staff_session.sid}
    token["scope"] = "impersonate:write" if impersonation.may_write else "impersonate:read"
    return str(token)


def read_access_token(raw: str, audience: str) -> AccessToken:
    """Return the verified token. Raises ``BadToken`` if its signature, key, type, issuer, audience, time or size is wrong."""
    if len(raw) > MAX_TOKEN_LENGTH:
        raise BadToken("Token is invalid")
    return _CLASSES[audience](raw)  # type: ignore[arg-type]


def read_access_token_for_logout(raw: str, audience: str) -> AccessToken:
    """Return a token that may have expired and is otherwise verified. Use it for logging out only. Raises ``BadToken``."""
    if len(raw) > MAX_TOKEN_LENGTH:
        raise BadToken("Token is invalid")
    return _CLASSES[audience](raw, verify=False)  # type: ignore[arg-type]


def new_refresh_token() -> str:
    """Return 256 random bits after a prefix that secret scanners know."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def derive_next_refresh_token(refresh_token: str, used_at: datetime) -> str:
    """Return the refresh token that this one is exchanged for (refresh token rotation).

    It is derived, so that it can be sent again if the response was lost, without being stored. Without the previous token and
    our key it is as random as any other.
    """
    return _derive_successor(refresh_token, used_at, settings.SESSION_SECRET)


def accepted_successors(refresh_token: str, used_at: datetime) -> dict[str, str]:
    """Return, by its stored hash, each token that a process with another accepted secret may have derived."""
    keys = (settings.SESSION_SECRET, *settings.SESSION_SECRET_FALLBACKS)
    successors = (_derive_successor(refresh_token, used_at, key) for key in keys)
    return {hash_token(successor): successor for successor in successors}


def _derive_successor(refresh_token: str, used_at: datetime, secret: str) -> str:
    seed = f"{used_at.isoformat()} {refresh_token}"
    digest = salted_hmac("saas.accounts.tokens.successor", seed, secret=secret, algorithm="sha256").digest()
    return REFRESH_PREFIX + urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_token(token: str) -> str:
    """Return what is stored of a random token. No key is needed: 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()
