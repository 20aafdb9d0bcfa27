"""The OAuth providers that the environment configures: a provider with a client id is on, all others are off."""

from dataclasses import dataclass

from saas import env


@dataclass(frozen=True)
class OAuthProvider:
    """``issuer`` is set for OpenID Connect; GitHub, which is OAuth 2.0 only, has none.

    ``hosts`` are the host names besides the issuer's own that we call for this provider: no others, whatever its
    discovery document says.
    """

    name: str
    client_id: str
    client_secret: str
    issuer: str = ""
    hosts: tuple[str, ...] = ()


_KNOWN = {
    "google": ("https://accounts.google.com", ("oauth2.googleapis.com", "www.googleapis.com")),
    "microsoft": ("https://login.microsoftonline.com/common/v2.0", ()),
    "github": ("", ("github.com", "api.github.com")),
}


def configured_providers() -> dict[str, OAuthProvider]:
    """Configured providers by name: ``google``, ``microsoft``, ``github``, and ``oidc`` for any other issuer."""
    found = [_provider(name, issuer, hosts) for name, (issuer, hosts) in _KNOWN.items()]
    issuer = env.text("OAUTH_OIDC_ISSUER", help="Issuer URL of another OpenID Connect provider (named `oidc`).").rstrip(
        "/"
    )
    hosts = env.comma_separated(
        "OAUTH_OIDC_HOSTS", help="Host names of its endpoints, where they are not the issuer's."
    )
    generic = _provider("oidc", issuer, tuple(hosts))
    if generic.client_id and not issuer:
        env.note_fault("OAUTH_OIDC_ISSUER must be set when OAUTH_OIDC_CLIENT_ID is.")
    return {provider.name: provider for provider in [*found, generic] if provider.client_id}


def _provider(name: str, issuer: str, hosts: tuple[str, ...]) -> OAuthProvider:
    prefix = f"OAUTH_{name.upper()}"
    return OAuthProvider(
        name=name,
        client_id=env.text(f"{prefix}_CLIENT_ID", help=f"Turns {name} sign-in on."),
        client_secret=env.text(f"{prefix}_CLIENT_SECRET", help=f"Client secret at {name}."),
        issuer=issuer,
        hosts=hosts,
    )
