"""A customer who is logged in on pages."""

import pytest

from saas.settings.accounts import OAuthProvider
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person


@pytest.fixture
def pages(product: ServiceClient, customer: Person) -> ServiceClient:
    product.get("/login")
    answer = product.submit_form("/login", {"email": customer.user.email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    product.get("/account")
    return product


@pytest.fixture
def later(customer: Person):
    """The login was long enough ago that what is delicate asks for the password."""
    from datetime import timedelta

    from django.utils import timezone

    from saas.accounts.models import LoginSession

    def pass_the_time() -> None:
        LoginSession.objects.filter(user=customer.user).update(authenticated_at=timezone.now() - timedelta(minutes=6))

    return pass_the_time


@pytest.fixture
def github_sign_in(settings) -> None:
    """Signing in through GitHub is configured; nothing is called."""
    settings.OAUTH_PROVIDERS = {"github": OAuthProvider("github", "id", "secret", hosts=("github.com",))}
