"""Providers to sign in with."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from saas.accounts.oauth import providers
from saas.testing.servers import identity_provider
from saas.testing.servers.identity_provider import IdentityProvider


@pytest.fixture
def idp(settings) -> Iterator[IdentityProvider]:
    """An OpenID provider on loopback, configured under the names ``oidc`` and ``google``."""
    with identity_provider.running_identity_provider() as provider:
        settings.OAUTH_PROVIDERS = {name: provider.provider_settings(name) for name in ("oidc", "google")}
        yield provider
    providers._discovered.clear()


@pytest.fixture
def github(settings, monkeypatch) -> Iterator[IdentityProvider]:
    """GitHub's API on loopback."""
    with identity_provider.running_identity_provider() as provider:
        settings.OAUTH_PROVIDERS = {"github": provider.provider_settings("github")}
        monkeypatch.setattr(
            providers,
            "GITHUB",
            replace(
                providers.GITHUB,
                token=f"{provider.issuer}/token",
                user=f"{provider.issuer}/user",
                emails=f"{provider.issuer}/user/emails",
            ),
        )
        yield provider
