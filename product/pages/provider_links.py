"""The buttons for sign-in at a provider."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

_NAMES = {"google": "Google", "microsoft": "Microsoft", "github": "GitHub", "oidc": "SSO"}


@dataclass(frozen=True)
class ProviderLink:
    name: str
    label: str
    address: str


def provider_label(name: str) -> str:
    return _NAMES.get(name, name.capitalize())


def provider_links(wanted: str) -> list[ProviderLink]:
    """A link for each configured provider; ``wanted`` is where to go afterwards."""
    query = f"?{urlencode({'next': wanted})}" if wanted else ""
    return [
        ProviderLink(name, provider_label(name), reverse("login-with", args=[name]) + query)
        for name in sorted(settings.OAUTH_PROVIDERS)
    ]
