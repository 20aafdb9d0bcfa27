"""Signing in at a provider from pages: a second factor, refusals, and where one wanted to go."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import pyotp
import pytest
from django.utils import timezone

from saas.accounts import second_factor
from saas.accounts.models import LoginSession, OAuthState, User
from saas.accounts.second_factor import STEP_SECONDS
from saas.teams import invitations
from saas.teams.models import Membership
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import actor_for, create_team
from saas.testing.factories.user_factories import Person
from saas.testing.mails import link_token
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
    before = LoginSession.objects.latest("created_at")
    LoginSession.objects.update(authenticated_at=timezone.now() - timedelta(minutes=6))
    asked = product.submit_form("/account/second-factor", {"do": "codes"})
    assert (asked.status_code, 'href="/login/with/oidc?next=' in asked.content.decode()) == (403, True)

    step = come_back("/login/with/oidc?next=/account/second-factor")

    assert step == "/login/code?next=%2Faccount%2Fsecond-factor"
    assert product.get(step).status_code == 200
    assert send_code(product, recovery_codes[1], next="/account/second-factor") == "/account/second-factor"
    assert not LoginSession.objects.live().filter(pk=before.pk).exists()
    assert product.submit_form("/account/second-factor", {"do": "codes"}).status_code == 200


def test_a_login_that_is_renewed_in_a_browser_replaces_the_one_before(
    product: ServiceClient, come_back: ComeBack
) -> None:
    come_back("/login/with/oidc")
    before = LoginSession.objects.get()

    come_back("/login/with/oidc")

    assert LoginSession.objects.live().exclude(pk=before.pk).count() == LoginSession.objects.live().count() == 1
    assert product.get("/account").status_code == 200


def test_a_login_for_an_app_ends_no_other_for_the_app_may_hold_its_tokens(
    product: ServiceClient, idp: IdentityProvider, db: None
) -> None:
    for _ in range(2):
        start = product.get("/api/auth/oauth/oidc?return_to=http://localhost:8000/app").headers["Location"]
        answer = idp.approve(start, email="mara@example.org", email_verified=True)
        product.get(f"/api/auth/oauth/oidc/callback?{urlencode(answer)}")

    assert LoginSession.objects.live().count() == 2


def test_a_login_of_somebody_else_in_the_browser_ends_no_other(product: ServiceClient, come_back: ComeBack) -> None:
    come_back("/login/with/oidc")

    come_back("/login/with/oidc", sub="person-2", email="nell@example.org")

    assert {session.user.email for session in LoginSession.objects.live()} == {"mara@example.org", "nell@example.org"}


def test_a_second_step_that_is_over_keeps_where_one_wanted_to_go(
    product: ServiceClient, come_back: ComeBack, recovery_codes: list[str]
) -> None:
    step = come_back("/login/with/oidc?next=/account/devices")
    product.get(step)
    product.cookies["saas_pending_login"] = "mfa_nonsense"

    assert send_code(product, recovery_codes[0], next="/account/devices") == "/login?next=%2Faccount%2Fdevices"
    assert product.get(step).headers["Location"] == "/login?next=%2Faccount%2Fdevices"


def test_another_persons_login_ends_a_second_step_that_was_left(
    product: ServiceClient, come_back: ComeBack, recovery_codes: list[str]
) -> None:
    assert come_back("/login/with/oidc").startswith("/login/code")

    assert come_back("/login/with/oidc", sub="person-2", email="nell@example.org") == "/account"


def test_on_the_way_through_a_provider_no_invitations_token_is_stored(
    product: ServiceClient, customer: Person, idp: IdentityProvider
) -> None:
    invitations.invite(actor_for(create_team(customer), customer), email="mara@example.org", role=Role.MEMBER)
    token = link_token("team_invitation")
    page = product.get(f"/invitations/accept?token={token}").content.decode()

    product.get(re.findall(r'href="(/login/with/oidc[^"]*)"', page)[0])

    return_to = OAuthState.objects.get().return_to
    assert ("invitations%2Faccept" in return_to, token in return_to) == (True, False)


def test_in_another_browser_a_kept_invitation_asks_for_the_link(product: ServiceClient, db: None) -> None:
    page = product.get("/invitations/accept?kept")

    assert (page.status_code, "Link or code from the mail" in page.content.decode()) == (200, True)


@pytest.mark.parametrize("registration", ["open", "invite"])
def test_a_newcomer_joins_by_a_provider_and_comes_back_to_the_invitation(
    product: ServiceClient, come_back: ComeBack, customer: Person, settings, registration: str
) -> None:
    settings.REGISTRATION = registration
    team = create_team(customer)
    invitations.invite(actor_for(team, customer), email="mara@example.org", role=Role.MEMBER)
    token = link_token("team_invitation")
    page = product.get(f"/invitations/accept?token={token}").content.decode()
    (link,) = re.findall(r'href="(/login/with/oidc[^"]*)"', page)

    back = come_back(link)
    product.get(back)
    joined = product.submit_form(back, {"token": token})

    assert joined.headers["Location"] == f"/teams/{team.pk}"
    assert Membership.objects.filter(team=team, user__email="mara@example.org").exists()


@pytest.mark.parametrize(
    ("registration", "claims"),
    [("invite", {"email_verified": False}), ("invite", {"email": "nell@example.org"}), ("closed", {})],
)
def test_only_the_invited_make_an_account_by_a_provider(
    product: ServiceClient,
    come_back: ComeBack,
    customer: Person,
    settings,
    registration: str,
    claims: dict[str, object],
) -> None:
    settings.REGISTRATION = registration
    invitations.invite(actor_for(create_team(customer), customer), email="mara@example.org", role=Role.MEMBER)

    assert come_back("/login/with/oidc", **claims) == "/login?error=registration_closed"
    assert User.objects.count() == 1


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
