"""The pages of teams and invitations spend the limits of the API's operations, and do nothing when one is used up (T61)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
import time_machine
from django.utils import timezone

from saas.accounts.models import User
from saas.api import rate_limits
from saas.api.rate_limits import RateLimit, TooManyRequests
from saas.mail.models import Mail
from saas.teams import invitations
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import link_token
from saas.testing.rate_limits import ANONYMOUS_REQUEST, HERE, use_up

ADDRESS = "new@example.org"
BY_INVITED_ADDRESS = rate_limits.invitation_address_limit("x")
BY_TOKEN = rate_limits.mailed_link_token_limit("x")
INVITED = {"emails": "E@F.example", "role": "member"}
KEY = {"name": "CI", "scopes": "read", "expires_in_days": "30", "current_password": PASSWORD}
REGISTRATION = {"token": "{token}", "full_name": "Nell", "password": "an entirely new phrase"}

MEMBER_SENDS = [
    ("/teams/{team}/invitations", INVITED, rate_limits.TEAM_INVITE, "{owner}"),
    ("/teams/{team}/invitations", INVITED, rate_limits.TEAM_INVITE_DAILY, "{team}"),
    ("/teams/{team}/invitations", INVITED, BY_INVITED_ADDRESS, "e@f.example"),
    ("/teams/{team}/invitations/{sent}", {"do": "resend"}, rate_limits.TEAM_INVITE, "{owner}"),
    ("/teams/{team}/invitations/{sent}", {"do": "resend"}, BY_INVITED_ADDRESS, ADDRESS),
    ("/teams/{team}/settings", {"name": "Renamed"}, rate_limits.TEAM, "{team}"),
    ("/teams/{team}/settings", {"name": "Renamed"}, rate_limits.WRITES, "{owner}"),
    ("/teams/{team}/api-keys/new", KEY, rate_limits.LOGIN, HERE),
]
INVITED_SEND = [
    ("/invitations/{sent}/join", {}, rate_limits.INVITATION_ACCEPT, HERE),
    ("/invitations/accept", {"token": "{token}"}, rate_limits.INVITATION_ACCEPT, HERE),
    ("/invitations/accept", {"token": "{token}"}, BY_TOKEN, "{hash}"),
]
NEWCOMER_SENDS = [
    ("/invitations/accept", REGISTRATION, rate_limits.REGISTER, HERE),
    ("/invitations/accept", REGISTRATION, rate_limits.REGISTER_HOURLY, HERE),
]


@pytest.fixture
def here(customer: Person, settings) -> Iterator[dict[str, str]]:
    """What the cases name. Time stands still, so that no window ends within a test."""
    with time_machine.travel(timezone.now(), tick=False):
        team = create_team(with_verified_email(customer))
        sent = invitations.invite(actor_for(team, customer), email=ADDRESS, role=Role.MEMBER)
        token = link_token("team_invitation")
        settings.RATE_LIMIT_SCALE = 1
        yield {
            "team": team.pk, "owner": customer.user.pk, "sent": sent.pk, "token": token,
            "hash": rate_limits.mailed_link_token_limit(token).key(ANONYMOUS_REQUEST),
        }  # fmt: skip


def stored_state() -> tuple[object, ...]:
    tables = (ApiKey, Invitation, Mail, Membership, User)
    return Team.objects.get().name, *(table._base_manager.count() for table in tables)


def require_refusal_beyond_the_limit(
    client: ServiceClient, here: dict[str, str], path: str, fields: dict[str, str], limit: RateLimit, key: str
) -> None:
    use_up(replace(limit, key=lambda _: key.format(**here)))
    client.get("/api/auth/csrf")
    before = stored_state()

    answer = client.submit_form(path.format(**here), {name: value.format(**here) for name, value in fields.items()})

    page = client.get(answer.headers["Location"]) if answer.status_code == 302 else answer
    assert TooManyRequests.title in re.sub(r"\s+", " ", unescape(page.content.decode()))
    assert stored_state() == before


def case_id(value: object) -> str | None:
    return getattr(value, "scope", None)


@pytest.mark.parametrize(("path", "fields", "limit", "key"), MEMBER_SENDS, ids=case_id)
def test_what_a_member_sends_is_refused_beyond_the_limit(
    product: ServiceClient, customer: Person, here, path, fields, limit, key
) -> None:
    product.cookies["saas_session"] = customer.cookie_key

    require_refusal_beyond_the_limit(product, here, path, fields, limit, key)


@pytest.mark.parametrize(("path", "fields", "limit", "key"), INVITED_SEND, ids=case_id)
def test_an_invited_person_does_not_join_beyond_the_limit(
    product: ServiceClient, here, path, fields, limit, key
) -> None:
    guest = with_verified_email(user_factories.create_customer(ADDRESS))
    product.cookies["saas_session"] = guest.cookie_key

    require_refusal_beyond_the_limit(product, here, path, fields, limit, key)


@pytest.mark.parametrize(("path", "fields", "limit", "key"), NEWCOMER_SENDS, ids=case_id)
def test_a_newcomer_does_not_register_beyond_the_limit(product: ServiceClient, here, path, fields, limit, key) -> None:
    require_refusal_beyond_the_limit(product, here, path, fields, limit, key)
