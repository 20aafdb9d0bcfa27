"""The page behind a mailed invitation: one step for newcomers, and a way on for everybody else."""

import re
from typing import Any
from urllib.parse import unquote

import pytest

from saas.accounts.models import LoginSession, User
from saas.teams import invitations
from saas.teams.models import Invitation, Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import link_token

ADDRESS = "new@example.org"
NEW = "an entirely new phrase"
PATH = "/invitations/accept"


@pytest.fixture
def team(customer: Person) -> Team:
    return create_team(customer)


@pytest.fixture
def token(team: Team, customer: Person) -> str:
    invitations.invite(actor_for(team, customer), email=ADDRESS, role=Role.MEMBER)
    return link_token("team_invitation")


def open_page(product: ServiceClient, token: str) -> str:
    product.get("/api/auth/csrf")
    answer = product.get(f"{PATH}?token={token}", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return str(answer.content.decode())


def as_person(product: ServiceClient, person: Person) -> None:
    product.cookies["saas_session"] = person.cookie_key


def send(product: ServiceClient, token: str, **fields: Any) -> Any:
    return product.submit_form(PATH, {"token": token, **fields})


def test_a_newcomer_registers_confirmed_and_joins_in_one_step(product: ServiceClient, team: Team, token: str) -> None:
    page = open_page(product, token)
    assert "Join Engineering" in page
    assert f'value="{ADDRESS}"' in page

    answer = send(product, token, full_name="Nell", password=NEW)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/teams/{team.id}")
    user = User.objects.get(email=ADDRESS)
    assert (user.is_verified, user.full_name) == (True, "Nell")
    assert Membership.objects.get(user=user).role == Role.MEMBER
    assert "You are in the team now." in product.get(f"/teams/{team.id}").content.decode()


def test_a_refused_password_keeps_the_name_and_makes_nothing(product: ServiceClient, token: str) -> None:
    open_page(product, token)

    answer = send(product, token, full_name="Nell", password="short")

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Use at least 12 characters." in page
    assert 'value="Nell"' in page
    assert "short" not in page
    assert not User.objects.filter(email=ADDRESS).exists()


def test_the_invited_account_joins_with_a_button(product: ServiceClient, team: Team, token: str) -> None:
    guest = with_verified_email(user_factories.create_customer(ADDRESS))
    as_person(product, guest)
    assert "Join the team" in open_page(product, token)

    answer = send(product, token)

    assert answer.headers["Location"] == f"/teams/{team.id}"
    assert Membership.objects.filter(team=team, user=guest.user).exists()


def test_a_colleague_who_is_logged_out_comes_back_after_logging_in(product: ServiceClient, token: str) -> None:
    with_verified_email(user_factories.create_customer(ADDRESS))

    page = open_page(product, token)

    found = re.search(r'href="([^"]*)\?next=([^"&]+)&amp;email=new%40example\.org"', page)
    assert found
    assert found[2] == "%2Finvitations%2Faccept%3Fkept"
    assert 'type="password"' not in page
    assert "Log in to join" in product.get(unquote(found[2])).content.decode()  # in this browser


@pytest.mark.parametrize(("is_secure", "name"), [(False, "saas_invitation"), (True, "__Secure-saas_invitation")])
def test_until_the_way_back_the_token_is_where_no_script_reads_it(
    product: ServiceClient, token: str, settings, is_secure: bool, name: str
) -> None:
    settings.SESSION_COOKIE_SECURE = is_secure
    open_page(product, token)

    cookie = product.cookies[name]

    assert (cookie.value, cookie["httponly"], cookie["samesite"], bool(cookie["secure"])) == (
        token,
        True,
        "Lax",
        is_secure,
    )
    assert (cookie["path"], cookie["max-age"]) == ("/invitations/accept", 1800)


def test_nobody_joins_by_the_token_alone_where_there_is_an_account(product: ServiceClient, token: str) -> None:
    with_verified_email(user_factories.create_customer(ADDRESS))
    open_page(product, token)

    send(product, token, full_name="Eve", password=NEW)

    assert Invitation.objects.get().accepted_at is None
    assert User.objects.get(email=ADDRESS).check_password(PASSWORD)


def test_with_another_account_open_one_chooses(product: ServiceClient, other: Person, token: str) -> None:
    as_person(product, with_verified_email(other))
    page = open_page(product, token)
    assert f"Log out and go on as {ADDRESS}" in page
    assert f"Stay logged in as {other.user.email}" in page

    answer = send(product, token)

    assert answer.headers["Location"] == f"{PATH}?token={token}"
    assert not LoginSession.objects.live().filter(user=other.user).exists()
    assert not Membership.objects.filter(user=other.user).exists()
    assert "Create the account and join" in open_page(product, token)


def test_an_unconfirmed_account_is_handed_over_to_the_mailbox(product: ServiceClient, team: Team, token: str) -> None:
    early = user_factories.create_customer(ADDRESS, full_name="Somebody")
    as_person(product, early)
    assert "Your account was never confirmed." in open_page(product, token)

    send(product, token, full_name="Nell", password=NEW)

    user = User.objects.get(email=ADDRESS)
    assert (user.full_name, user.is_verified, user.check_password(NEW)) == ("Nell", True, True)
    assert not LoginSession.objects.live().filter(sid=early.session_id).exists()
    assert Membership.objects.filter(team=team, user=user).exists()


def test_a_used_invitation_says_so_and_leads_on(product: ServiceClient, token: str) -> None:
    open_page(product, token)
    send(product, token, full_name="Nell", password=NEW)

    answer = product.get(f"{PATH}?token={token}", headers={"Accept-Language": "de"})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Diese Einladung wurde bereits angenommen." in page or "This invitation has been accepted already." in page
    assert 'href="/teams"' in page


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_token_is_not_found(product: ServiceClient, db, method: str) -> None:
    product.get("/api/auth/csrf")
    sent = product.get(f"{PATH}?token=it_x") if method == "GET" else send(product, "it_x")

    assert sent.status_code == 404
    assert "There is no such invitation" in sent.content.decode()


def test_without_a_token_the_link_may_be_pasted(product: ServiceClient, token: str) -> None:
    page = product.get(PATH).content.decode()
    assert 'method="get"' in page
    assert '<script src="/static/product/invitation_link.js" defer>' in page

    pasted = product.get(f"{PATH}?token=http%3A%2F%2Flocalhost%3A8000%2Finvitations%2Faccept%3Ftoken%3D{token}")

    assert "Join Engineering" in pasted.content.decode()


def test_opening_the_page_changes_nothing(product: ServiceClient, token: str) -> None:
    as_person(product, with_verified_email(user_factories.create_customer(ADDRESS)))
    open_page(product, token)

    assert Invitation.objects.get().accepted_at is None


def test_the_page_loads_only_from_here(product: ServiceClient, token: str) -> None:
    page = open_page(product, token)

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [url for url in loaded if not url.startswith(("/", "#"))] == []
    assert (
        "script-src" not in product.get(PATH).headers["Content-Security-Policy"]
    )  # default-src 'self' holds for scripts
    assert product.get("/static/product/invitation_link.js").headers["Content-Type"].startswith("text/javascript")
