"""OAuth providers: build the authorization URL, exchange the code, and read the person's identity.

OpenID Connect (Core 1.0, Discovery 1.0) by the issuer's metadata, and GitHub, which has an API instead of ID tokens. The
identity comes only from the provider, never from the callback's query or body.
"""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, Key, KeySet, import_key

from saas.accounts.oauth.http_client import (
    IdentityProviderUnavailable,
    ProviderResponse,
    call_provider,
    require_allowed_url,
)
from saas.errors import DomainError
from saas.security.untrusted_json import as_identifier, as_objects, as_text
from saas.settings.accounts import OAuthProvider
from saas.text_normalization import strip_invisible

# All algorithms of OpenID providers that are verified with a public key.
SIGNING_ALGORITHMS = [*(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA", "Ed25519"]
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # by how the algorithm's name begins
CLOCK_LEEWAY_SECONDS = 30
DISCOVERY_SECONDS = 3600.0
GITHUB_ISSUER = "https://github.com"
_MAX_SUBJECT = 255
_LABELS = {"google": "Google", "microsoft": "Microsoft", "github": "GitHub", "oidc": "SSO"}
_TENANT = re.compile(r"[0-9a-f-]{36}")  # Microsoft's ``tid`` claim, which is part of its issuer


class CodeRefused(DomainError):
    code, title, status = "oauth_code_refused", "The provider did not confirm this sign-in.", 400


class SignInDeclined(DomainError):
    code, title, status = "oauth_declined", "The sign-in was declined at the provider.", 400


class IdTokenInvalid(DomainError):
    code, title, status = "oauth_token_invalid", "What the provider said about you could not be verified.", 400


@dataclass(frozen=True)
class Endpoints:
    """Addresses of a provider. ``issuer`` may hold Microsoft's ``{tenantid}``.

    ``keys`` (JWKS) is empty for GitHub, which has no ID tokens; ``user`` and ``emails`` are empty for all others.
    ``userinfo`` is empty where the provider has none, or has it at a host that is not called.
    """

    issuer: str
    authorization: str
    token: str
    keys: str = ""
    userinfo: str = ""
    user: str = ""
    emails: str = ""
    requires_basic_auth: bool = False
    sends_issuer: bool = False  # ``iss`` is in every callback (RFC 9207)

    @property
    def issuer_names(self) -> set[str]:
        """The issuers that its callbacks may name. GitHub's metadata name another one."""
        return {self.issuer, f"{GITHUB_ISSUER}/login/oauth"} if self.issuer == GITHUB_ISSUER else {self.issuer}


@dataclass(frozen=True)
class Identity:
    """A person at a provider. ``email`` is empty if the provider gave no usable one.

    Without ``is_whole`` its userinfo endpoint could not be asked: an empty ``email`` says nothing then.
    """

    provider: str
    issuer: str
    subject: str
    email: str
    email_is_verified: bool
    name: str
    is_whole: bool = True


GITHUB = Endpoints(
    issuer=GITHUB_ISSUER,
    authorization="https://github.com/login/oauth/authorize",
    token="https://github.com/login/oauth/access_token",  # noqa: S106  (an address)
    user="https://api.github.com/user",
    emails="https://api.github.com/user/emails",
)
_discovered: dict[str, tuple[float, Endpoints]] = {}


def provider_label(name: str) -> str:
    """What pages and mails call a provider."""
    return _LABELS.get(name, name.capitalize())


def redirect_uri(provider: OAuthProvider, *, at_pages: bool = False) -> str:
    """Return our callback URL, one per provider: it is made of settings, and two providers cannot be mixed up.

    ``at_pages``: on the host of the pages, where it is another than the API's, because the browser's cookies are there.
    """
    base = settings.FRONTEND_BASE_URL if at_pages else settings.SERVICE_BASE_URLS["product"]
    return f"{base}/api/auth/oauth/{provider.name}/callback"


def authorization_url(provider: OAuthProvider, *, state: str, nonce: str, verifier: str, at_pages: bool = False) -> str:
    """Return where to send the browser: authorization code flow with PKCE (RFC 7636, S256)."""
    asks_openid = bool(provider.issuer)
    return str(
        prepare_grant_uri(
            discover_endpoints(provider).authorization,
            client_id=provider.client_id,
            response_type="code",
            redirect_uri=redirect_uri(provider, at_pages=at_pages),
            scope="openid email profile" if asks_openid else "read:user user:email",
            state=state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **({"nonce": nonce} if asks_openid else {}),
        )
    )


def fetch_identity(
    provider: OAuthProvider, *, code: str, nonce: str, verifier: str, at_pages: bool = False
) -> Identity:
    """Exchange the code and return the identity.

    Raises ``CodeRefused``, ``IdTokenInvalid`` or ``IdentityProviderUnavailable``.
    """
    tokens = _exchange(provider, code, verifier, at_pages)
    if provider.issuer:
        return _from_openid(provider, tokens, nonce)
    return _from_github(provider, tokens.get("access_token"))


def discover_endpoints(provider: OAuthProvider) -> Endpoints:
    """Return the provider's URLs; an issuer's metadata are fetched at most once an hour."""
    if not provider.issuer:
        return GITHUB
    known = _discovered.get(provider.issuer)
    if known is None or time.monotonic() - known[0] > DISCOVERY_SECONDS:
        known = _discovered[provider.issuer] = (time.monotonic(), _discover(provider))
    return known[1]


def _discover(provider: OAuthProvider) -> Endpoints:
    metadata = _object(_get(provider, f"{provider.issuer}/.well-known/openid-configuration"))
    issuer = metadata.get("issuer")
    if not isinstance(issuer, str) or issuer.rstrip("/") != provider.issuer.replace("/common/", "/{tenantid}/"):
        raise IdentityProviderUnavailable
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]  # the standard's default
    return Endpoints(
        issuer=issuer,
        authorization=_address(provider, metadata.get("authorization_endpoint")),
        token=_address(provider, metadata.get("token_endpoint")),
        keys=_address(provider, metadata.get("jwks_uri")),
        userinfo=_optional_address(provider, metadata.get("userinfo_endpoint")),
        requires_basic_auth="client_secret_post" not in methods,
        sends_issuer=metadata.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(provider: OAuthProvider, url: object) -> str:
    address = url if isinstance(url, str) else ""
    require_allowed_url(address, _hosts(provider))
    return address


def _optional_address(provider: OAuthProvider, url: object) -> str:
    try:
        return _address(provider, url)
    except IdentityProviderUnavailable:
        return ""


def _exchange(provider: OAuthProvider, code: str, verifier: str, at_pages: bool) -> dict[str, Any]:
    where = discover_endpoints(provider)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(provider, at_pages=at_pages),
        "code_verifier": verifier,
    }
    auth = None
    if not provider.client_secret:  # a public client, which PKCE protects
        form |= {"client_id": provider.client_id}
    elif where.requires_basic_auth:
        auth = (quote_plus(provider.client_id), quote_plus(provider.client_secret))  # RFC 6749, 2.3.1
    else:
        form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
    answer = call_provider("POST", where.token, hosts=_hosts(provider), form=form, auth=auth)
    if answer.status != 200 or "error" in _object(answer):  # GitHub refuses with 200
        raise CodeRefused
    return _object(answer)


def _from_openid(provider: OAuthProvider, tokens: dict[str, Any], nonce: str) -> Identity:
    raw = tokens.get("id_token")
    if not isinstance(raw, str):
        raise IdTokenInvalid
    claims, is_whole = _verified_claims(provider, raw, nonce), True
    try:
        claims = _with_userinfo(provider, claims, tokens.get("access_token"))
    except IdentityProviderUnavailable:  # it has said who it is: enough for who is known
        is_whole = bool(claims.get("email"))
    return Identity(
        provider=provider.name,
        issuer=str(claims["iss"]),
        subject=_subject(claims["sub"]),
        email=_email(claims.get("email")),
        email_is_verified=_is_true(claims.get("email_verified")),
        name=_name(claims),
        is_whole=is_whole,
    )


def _with_userinfo(provider: OAuthProvider, claims: dict[str, Any], token: object) -> dict[str, Any]:
    """Add what a provider tells at its userinfo endpoint alone (Core 1.0, 5.4): the address and whether it is verified.

    Both are taken from one of the two places, so that no provider's word about one address counts for another.
    """
    url = discover_endpoints(provider).userinfo
    if not url or not isinstance(token, str) or {"email", "email_verified"} <= claims.keys():
        return claims
    told = _object(_get(provider, url, token))
    if told.get("sub") != claims["sub"]:  # Core 1.0, 5.3.2
        raise IdTokenInvalid
    address = {name: told.pop(name, None) for name in ("email", "email_verified")}
    return {**told, **claims, **(address if address["email"] else {})}


def _verified_claims(provider: OAuthProvider, raw: str, nonce: str) -> dict[str, Any]:
    """Verify signature, algorithm, issuer, audience, time and nonce (Core 1.0, 3.1.3.7).

    The keys are fetched for each sign-in, so that a rotated one is known at once.
    """
    where = discover_endpoints(provider)
    document = _object(_get(provider, where.keys))
    try:
        token = jwt.decode(raw, partial(_signing_keys, document), algorithms=SIGNING_ALGORITHMS)
        tenant = str(token.claims.get("tid", ""))
        issuer = where.issuer.replace("{tenantid}", tenant) if _TENANT.fullmatch(tenant) else where.issuer
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": provider.client_id},
            },
            params={"nonce": nonce, "client_id": provider.client_id},
        )
        claims.validate(leeway=CLOCK_LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IdTokenInvalid from error
    return dict(claims)


def _signing_keys(document: dict[str, Any], token: GuestProtocol) -> KeySet:
    """Return the keys of a JWK set that fit the token's algorithm. If only one fits, the token need not name it.

    A key that cannot be used is ignored (RFC 7517, 5): the others still work.
    """
    key_type = _KEY_TYPES[token.headers()["alg"][:2]]
    keys: list[Key] = []
    for data in as_objects(document.get("keys")):
        with suppress(JoseError, ValueError, TypeError, KeyError):
            if data["kty"] == key_type and data.get("use", "sig") == "sig":
                keys.append(import_key(data))
    return KeySet(keys)


def _from_github(provider: OAuthProvider, token: object) -> Identity:
    if not isinstance(token, str):
        raise CodeRefused
    user = _object(_get(provider, GITHUB.user, token))
    addresses = as_objects(_get(provider, GITHUB.emails, token).document)
    primary = [row for row in addresses if row.get("primary") and row.get("verified") is True]
    return Identity(
        provider=provider.name,
        issuer=GITHUB_ISSUER,
        subject=_subject(str(user.get("id") or "")),
        email=_email(primary[0].get("email")) if primary else "",
        email_is_verified=bool(primary),
        name=_name(user),
    )


def _get(provider: OAuthProvider, url: str, token: str = "") -> ProviderResponse:
    answer = call_provider("GET", url, hosts=_hosts(provider), token=token)
    if answer.status != 200:
        raise IdentityProviderUnavailable
    return answer


def _hosts(provider: OAuthProvider) -> set[str]:
    return {urlsplit(provider.issuer).hostname or "", *provider.hosts} - {""}


def _object(answer: ProviderResponse) -> dict[str, Any]:
    if not isinstance(answer.document, dict):
        raise IdentityProviderUnavailable
    return answer.document


def _name(claims: dict[str, Any]) -> str:
    """The whole name, or the parts of it that the provider tells."""
    parts = (as_text(claims.get(part), 200) for part in ("given_name", "family_name"))
    return strip_invisible((as_text(claims.get("name"), 200) or " ".join(filter(None, parts)))[:200])


def _is_true(value: object) -> bool:
    """Amazon Cognito and Apple send the string."""
    return value is True or value == "true"


def _email(value: object) -> str:
    """The address; empty where it is too long: a part of it would be another's."""
    return as_text(as_identifier(value, 254)).strip()


def _subject(value: object) -> str:
    if not isinstance(value, str) or not value or as_text(value, _MAX_SUBJECT).strip() != value:
        raise IdTokenInvalid
    return value
