"""What outlives a session is announced, asks for the password again, and dies with recovery or ban (T87)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.accounts.models import OAuthIdentity, Totp, User
from saas.accounts.passwords.password_reset_mails import mail_reset_link
from saas.accounts.privacy import account_deletion
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.billing.overrides import override_limit
from saas.teams import actions, api_keys, invitations
from saas.teams.models import ApiKey, Invitation, Team
from saas.teams.roles import Role, Scope
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token

NEW = "an entirely new phrase"
KEY = {"name": "CI", "scopes": ["write"]}


@pytest.fixture
def owner(customer: Person) -> Person:
    return with_verified_email(customer)


@pytest.fixture
def team(owner: Person) -> Team:
    return create_team(owner)


def later(**by: int) -> Any:
    return time_machine.travel(datetime.now(UTC) + timedelta(**by))


def make_key(product: ServiceClient, person: Person, team: Team, **body: Any) -> Any:
    return product.post(f"/api/teams/{team.id}/api-keys", {**KEY, **body}, token=person.token)


def invite(person: Person, team: Team, address: str = "accomplice@example.org") -> str:
    invitations.invite(actor_for(team, person), email=address, role=Role.ADMIN)
    return link_token("team_invitation")


def reset(product: ServiceClient, person: Person) -> Any:
    mail_reset_link(User.objects.get(pk=person.user.pk), by="system")
    return product.post("/api/auth/password/reset", {"token": link_token("password_reset"), "new_password": NEW})


def works(product: ServiceClient, team: Team, secret: str) -> bool:
    return bool(product.get(f"/api/teams/{team.id}", token=secret).status_code == 200)


# ── Making one ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_asks_for_the_password_again(product, owner: Person, team: Team) -> None:
    with later(minutes=5, seconds=1):
        without = make_key(product, owner, team)
        wrong = make_key(product, owner, team, current_password="not the password")
        assert not ApiKey.objects.exists()
        right = make_key(product, owner, team, current_password=PASSWORD)

    assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["current_password"])
    assert right.status_code == 201


@pytest.mark.parametrize("recipient", ["owner", "maker"])
def test_a_new_key_is_announced_to_its_maker_and_the_teams_owner(product, owner, other, team, recipient: str) -> None:
    maker = add_member(team, Role.ADMIN, with_verified_email(other))
    deliver_queued_mails()

    make_key(product, maker, team)

    mails = {mail.to[0]: str(mail.body) for mail in deliver_queued_mails("api_key_created")}
    assert set(mails) == {owner.user.email, maker.user.email}
    text = mails[{"owner": owner, "maker": maker}[recipient].user.email]
    assert 'Ola Other made an API key, "CI", for the team Engineering.' in text
    assert "read and write until" in text
    assert "saas_" not in text


def test_a_keys_name_writes_nothing_of_its_own_into_the_mail(product, owner: Person, team: Team) -> None:
    make_key(product, owner, team, name="Pay at https://evil.example")

    (mail,) = deliver_queued_mails("api_key_created")

    assert "evil" not in str(mail.body) + str(mail.alternatives[0].content)


def test_the_list_shows_who_made_what_and_when_it_was_last_used(product, owner, other, team: Team) -> None:
    maker = add_member(team, Role.ADMIN, with_verified_email(other))
    _, secret = create_api_key(team, maker)
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False):
        works(product, team, secret)

    (row,) = product.get(f"/api/teams/{team.id}/api-keys", token=owner.token).json()["api_keys"]

    who = (row["created_by"], row["created_by_email"], row["created_by_name"])
    assert who == (maker.user.id, maker.user.email, "Ola Other")
    assert datetime.fromisoformat(row["last_used_at"]) == now


# ── Recovery and ban ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reset_ends_the_keys_and_invitations_of_who_recovers(product, service, owner, other, team: Team) -> None:
    _, secret = create_api_key(team, owner, Scope.WRITE)
    token = invite(owner, team, other.user.email)

    assert reset(product, owner).status_code == 200

    assert not works(product, team, secret)
    taken = product.post("/api/invitations/accept", {"token": token}, token=with_verified_email(other).token)
    assert (taken.status_code, taken.json()["code"]) == (410, "invitation_revoked")
    assert "2 in all" in str(deliver_queued_mails("password_changed")[0].body)
    (event,) = AuditEvent.objects.filter(action="credentials.revoked", target=owner.user.id)
    assert event.data == {"because": "password reset", "api_key": 1, "invitation": 1}


def test_a_reset_leaves_what_others_made(product, owner: Person, other: Person, team: Team) -> None:
    maker = add_member(team, Role.ADMIN, with_verified_email(other))
    _, secret = create_api_key(team, maker)

    reset(product, owner)

    assert works(product, team, secret)
    assert not AuditEvent.objects.filter(action="credentials.revoked").exists()


def test_a_ban_ends_them_and_lifting_it_revives_nothing(product, owner, other, staff_member, team: Team) -> None:
    banned = add_member(team, Role.ADMIN, with_verified_email(other))
    _, secret = create_api_key(team, banned)
    token = invite(banned, team)

    staff_administration.ban_user(banned.user, by=staff_member.user, reason="x")
    staff_administration.unban_user(banned.user, by=staff_member.user)

    assert not works(product, team, secret)
    assert product.post("/api/invitations/register", {"token": token, "password": NEW}).status_code == 410
    assert AuditEvent.objects.get(action="credentials.revoked", target=banned.user.id).actor == staff_member.user.id


def test_a_changed_password_leaves_them(product, owner: Person, team: Team) -> None:
    _, secret = create_api_key(team, owner)

    product.post("/api/auth/password/change", {"current_password": PASSWORD, "new_password": NEW}, token=owner.token)

    assert works(product, team, secret)


IDENTITIES = pytest.mark.parametrize(
    ("email", "is_verified", "stays"),
    [
        ("own", True, True),
        ("OWN", True, True),
        ("own", False, False),
        ("thief@example.org", True, False),
        ("", True, False),
    ],
)


@IDENTITIES
def test_a_reset_keeps_only_providers_that_vouch_for_the_mailbox(
    product, owner: Person, email: str, is_verified: bool, stays: bool
) -> None:
    address = {"own": owner.user.email, "OWN": owner.user.email.upper()}.get(email, email)
    OAuthIdentity.objects.create(
        provider="google", issuer="https://id.example", subject="x", user=owner.user,
        email=address, email_is_verified=is_verified,
    )  # fmt: skip

    reset(product, owner)

    assert OAuthIdentity.objects.exists() is stays
    assert bool(deliver_queued_mails("identity_unlinked")) is not stays
    assert AuditEvent.objects.filter(action="identity.unlinked", target=owner.user.id).exists() is not stays


@pytest.mark.parametrize("claim", [True, False])
def test_a_sign_in_notes_whether_the_provider_vouches(product, idp, claim: bool) -> None:
    def sign_in(**claims: Any) -> None:
        url = product.get("/api/auth/oauth/oidc").headers["Location"]
        product.post("/api/auth/oauth/oidc/callback", idp.approve(url, email="new@example.org", **claims))

    sign_in(email_verified=not claim)
    sign_in(email_verified=claim)

    assert OAuthIdentity.objects.get().email_is_verified is claim


# ── Logging out everywhere ───────────────────────────────────────────────────────────────────────────────────────────


def test_logging_out_everywhere_lists_what_outlives_it(product, owner: Person, team: Team) -> None:
    key, secret = create_api_key(team, owner)
    invite(owner, team)

    answered = product.post("/api/auth/logout-all", token=owner.token)

    assert (answered.status_code, answered.json()["revoked"]) == (200, False)
    told = answered.json()["credentials"]
    assert [(row["kind"], row["name"], row["team_id"]) for row in told] == [
        ("invitation", "accomplice@example.org", team.id),
        ("api_key", "CI", team.id),
    ]
    assert told[1]["id"] == key.id
    assert works(product, team, secret)
    assert product.get("/api/auth/me", token=owner.token).status_code == 401


def test_logging_out_everywhere_ends_it_too_if_asked(product, owner: Person, team: Team) -> None:
    _, secret = create_api_key(team, owner)
    invite(owner, team)

    answered = product.post("/api/auth/logout-all", {"revoke_credentials": True}, token=owner.token)

    assert (answered.status_code, answered.json()["revoked"]) == (200, True)
    assert len(answered.json()["credentials"]) == 2
    assert not works(product, team, secret)
    assert not Invitation.objects.open().exists()


def test_at_parity_too(parity, product, owner: Person, team: Team) -> None:
    _, secret = create_api_key(team, owner)

    answered = parity.post("/auth/logout-all", {"revokeCredentials": True}, token=owner.token)

    assert (answered.status_code, answered.json()["revoked"]) == (200, True)
    assert set(answered.json()["credentials"][0]) == {
        "kind", "id", "name", "teamId", "createdAt", "expiresAt", "lastUsedAt",
    }  # fmt: skip
    assert not works(product, team, secret)


def test_where_nothing_outlives_it_nothing_is_said(product, customer: Person, other: Person) -> None:
    create_api_key(create_team(with_verified_email(other)), with_verified_email(other))

    answered = product.post("/api/auth/logout-all", {"revoke_credentials": True}, token=customer.token)

    assert (answered.status_code, answered.content) == (204, b"")
    assert ApiKey.objects.current().count() == 1


def test_dead_ones_are_not_listed(product, owner: Person, team: Team) -> None:
    create_api_key(team, owner)
    ApiKey.objects.update(expires_at=datetime.now(UTC))
    invite(owner, team)
    Invitation.objects.update(revoked_at=datetime.now(UTC))

    assert product.post("/api/auth/logout-all", token=owner.token).status_code == 204


def test_staff_who_log_somebody_out_are_told_too(
    admin_ops, product, owner: Person, staff_member: Person, team: Team
) -> None:
    _, secret = create_api_key(team, owner)
    path = f"/api/admin/users/{owner.user.id}/sessions/revoke"

    first = admin_ops.post(path, token=staff_member.token)
    assert works(product, team, secret)
    second = admin_ops.post(path, {"reason": "stolen", "revoke_credentials": True}, token=staff_member.token)

    assert first.json() == {"sessions_revoked": 1, "credentials": 1, "credentials_revoked": False}
    assert second.json() == {"sessions_revoked": 0, "credentials": 1, "credentials_revoked": True}
    assert not works(product, team, secret)


# ── Leaving a team ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_leaving_a_team_ends_ones_keys_and_invitations_there_only(owner: Person, other: Person, team: Team) -> None:
    elsewhere = create_team(add_member(team, Role.ADMIN, with_verified_email(other)))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for limit in ("api_keys", "seats"):
        override_limit(team, key=limit, value=9, expires_at=tomorrow, reason="a test", by=owner.user)
    makers = [(team, other, "a@example.org"), (team, owner, "b@example.org"), (elsewhere, other, "c@example.org")]
    keys = [create_api_key(place, maker)[0] for place, maker, _ in makers]
    sent = [
        invitations.invite(actor_for(place, maker), email=address, role=Role.VIEWER) for place, maker, address in makers
    ]

    actions.leave_team(actor_for(team, other))

    assert set(ApiKey.objects.current()) == set(keys[1:])
    assert set(Invitation.objects.open()) == set(sent[1:])


# ── About to be deleted ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deletion_suspends_keys_and_invitations_until_it_is_canceled(product, owner, other, team: Team) -> None:
    leaving, guest = add_member(team, Role.ADMIN), with_verified_email(other)
    _, secret = create_api_key(team, leaving)
    body = {"token": invite(leaving, team, guest.user.email)}
    account_deletion.delete_account(leaving.user)

    assert not works(product, team, secret)
    refused = product.post("/api/invitations/accept", body, token=guest.token)
    assert (refused.status_code, refused.json()["code"]) == (410, "invitation_revoked")
    assert product.get("/api/invitations", token=guest.token).json()["count"] == 0

    account_deletion.cancel_deletion(link_token("deletion_requested"))
    assert works(product, team, secret)
    assert product.post("/api/invitations/accept", body, token=guest.token).status_code == 200


# ── Made in the same moment ──────────────────────────────────────────────────────────────────────────────────────────


def remove_second_factor(person: Person, staff: Person) -> None:
    Totp.objects.create(user=person.user, sealed_secret="x", confirmed_at=datetime.now(UTC))
    staff_administration.reset_second_factor(person.user, by=staff.user)


@pytest.mark.parametrize(
    "make",
    [
        lambda maker: api_keys.create_api_key(maker, name="CI", scopes=[Scope.WRITE], expires_in_days=30),
        lambda maker: invitations.invite(maker, email="accomplice@example.org", role=Role.ADMIN),
    ],
    ids=["key", "invitation"],
)
@pytest.mark.parametrize(
    "end",
    [
        lambda product, owner, staff: reset(product, owner),
        lambda product, owner, staff: staff_administration.revoke_sessions(owner.user, by=staff.user),
        lambda product, owner, staff: remove_second_factor(owner, staff),
    ],
    ids=["reset", "logged out by staff", "second factor removed by staff"],
)
def test_a_request_that_was_under_way_makes_none_after_the_logout(
    product, owner, staff_member: Person, team: Team, make, end
) -> None:
    under_way = actor_for(team, owner)
    end(product, owner, staff_member)

    with pytest.raises(Exception, match="Invalid credentials"):
        make(under_way)

    assert not ApiKey.objects.exists()
    assert not Invitation.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
@pytest.mark.parametrize("round_number", range(5))
def test_of_a_ban_and_a_new_key_at_once_no_key_is_left(service, round_number: int) -> None:
    from saas.testing.factories import user_factories

    person, staff_member = with_verified_email(user_factories.create_customer()), user_factories.create_staff_member()
    under_way = actor_for(create_team(person), person)

    run_concurrently(
        lambda: staff_administration.ban_user(person.user, by=staff_member.user, reason="x"),
        lambda: api_keys.create_api_key(under_way, name="CI", scopes=[Scope.WRITE], expires_in_days=30),
    )

    assert not ApiKey.objects.current().exists()
