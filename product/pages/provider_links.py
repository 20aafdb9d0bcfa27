"""The buttons for sign-in at a provider."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from saas.accounts.oauth.providers import provider_label


@dataclass(frozen=True)
class ProviderLink:
    name: str
    label: str
    address: str


def provider_links(wanted: str) -> list[ProviderLink]:
    """A link for each configured provider; ``wanted`` is where to go afterwards."""
    query = f"?{urlencode({'next': wanted})}" if wanted else ""
    return [
        ProviderLink(name, provider_label(name), reverse("login-with", args=[name]) + query)
        for name in sorted(settings.OAUTH_PROVIDERS)
    ]
