"""Signing in at a provider from pages: a second factor, refusals, and where one wanted to go."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import pyotp
import pytest
from django.utils import timezone

from saas.accounts import second_factor
from saas.accounts.models import LoginSession, OAuthState, User
from saas.accounts.second_factor import STEP_SECONDS
from saas.testing.clients import ServiceClient
from saas.testing.servers.identity_provider import IdentityProvider

ComeBack = Callable[..., str]


@pytest.fixture
def come_back(product: ServiceClient, idp: IdentityProvider, db) -> ComeBack:
    """Sign in at the provider, and return where its callback and the page behind it lead the browser."""

    def come_back(link: str, **claims: object) -> str:
        person = {"email": "mara@example.org", "email_verified": True, **claims}
        answer = idp.approve(product.get(link).headers["Location"], **person)
        back = product.get(
            f"/api/auth/oauth/oidc/callback?{urlencode(answer)}", headers={"Accept": "text/html,*/*;q=0.8"}
        )
        return str(product.get(back.headers["Location"]).headers["Location"])

    return come_back


@pytest.fixture
def recovery_codes(come_back: ComeBack) -> list[str]:
    """Of a person who has no password, and logs in at the provider and with a second factor."""
    come_back("/login/with/oidc")
    session = LoginSession.objects.get()
    totp = pyotp.TOTP(second_factor.begin_totp_setup(User.objects.get()).secret)
    _, codes = second_factor.confirm_totp_setup(session, totp.at(timezone.now() - timedelta(seconds=STEP_SECONDS)))
    return codes


def send_code(product: ServiceClient, code: str, **more: str) -> str:
    return str(product.submit_form("/login/code?use=recovery", {"recovery_code": code, **more}).headers["Location"])


def test_a_login_is_renewed_at_the_provider_and_by_the_code(
    product: ServiceClient, come_back: ComeBack, recovery_codes: list[str]
) -> None:
    come_back("/login/with/oidc")
    product.get("/login/code")
    assert send_code(product, recovery_codes[0]) == "/account"
    LoginSession.objects.update(authenticated_at=timezone.now() - timedelta(minutes=6))
    asked = product.submit_form("/account/second-factor", {"do": "codes"})
    assert (asked.status_code, 'href="/login/with/oidc?next=' in asked.content.decode()) == (403, True)

    step = come_back("/login/with/oidc?next=/account/second-factor")

    assert step == "/login/code?next=%2Faccount%2Fsecond-factor"
    assert product.get(step).status_code == 200
    assert send_code(product, recovery_codes[1], next="/account/second-factor") == "/account/second-factor"
    assert product.submit_form("/account/second-factor", {"do": "codes"}).status_code == 200


def test_a_second_step_that_is_over_keeps_where_one_wanted_to_go(
    product: ServiceClient, come_back: ComeBack, recovery_codes: list[str]
) -> None:
    step = come_back("/login/with/oidc?next=/account/devices")
    product.get(step)
    product.cookies["saas_pending_login"] = "mfa_nonsense"

    assert send_code(product, recovery_codes[0], next="/account/devices") == "/login?next=%2Faccount%2Fdevices"
    assert product.get(step).headers["Location"] == "/login?next=%2Faccount%2Fdevices"


def test_where_registration_is_closed_the_login_page_says_so(
    product: ServiceClient, come_back: ComeBack, settings
) -> None:
    settings.REGISTRATION = "invite"

    page = product.get(come_back("/login/with/oidc"))

    assert "New accounts cannot be made here." in page.content.decode()
    assert not User.objects.exists()


def test_a_refusal_is_told_also_to_who_is_logged_in(product: ServiceClient, come_back: ComeBack) -> None:
    come_back("/login/with/oidc")

    back = product.get("/login/return?error=oauth_declined&next=/account/data").headers["Location"]

    assert back == "/account/data"
    assert "The sign-in was declined at the provider." in product.get(back).content.decode()


def test_a_long_way_back_does_not_stand_in_the_way_of_a_login(product: ServiceClient, come_back: ComeBack) -> None:
    answer = product.get(f"/login/with/oidc?next=/account?{'a=%2F' * 95}")

    assert answer.status_code == 302
    assert len(OAuthState.objects.get().return_to) <= 500
