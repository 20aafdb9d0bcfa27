"""An account that nobody confirmed is handed over clean to who proves its mailbox (T84)."""

from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from saas.accounts import account_handover
from saas.accounts.models import (
    Impersonation,
    LoginSession,
    OAuthIdentity,
    OneTimeToken,
    PendingLogin,
    Profile,
    RecoveryCode,
    ResetRequest,
    Totp,
    User,
)
from saas.accounts.passwords.password_reset_mails import handle_reset_request
from saas.accounts.staff.impersonations import ImpersonationRequest, impersonate
from saas.accounts.staff.staff_administration import change_user_metadata
from saas.audit.models import AuditEvent
from saas.teams import invitations
from saas.teams.models import ApiKey, Invitation, Membership
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import second_waits_for_first
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token
from saas.testing.servers.identity_provider import IdentityProvider

ADDRESS = "owner@example.org"
NEW = "an entirely new phrase"
Prove = Callable[[ServiceClient, IdentityProvider], Any]


def by_reset(product: ServiceClient, idp: IdentityProvider) -> Any:
    product.post("/api/auth/password/forgot", {"email": ADDRESS})
    handle_reset_request(ResetRequest.objects.latest("pk").pk)
    return product.post("/api/auth/password/reset", {"token": link_token("password_reset"), "new_password": NEW})


def by_provider(product: ServiceClient, idp: IdentityProvider) -> Any:
    url = product.get("/api/auth/oauth/oidc").headers["Location"]
    return product.post("/api/auth/oauth/oidc/callback", idp.approve(url, email=ADDRESS, email_verified=True))


def by_invitation(product: ServiceClient, idp: IdentityProvider) -> Any:
    inviter = with_verified_email(user_factories.create_customer())
    invitations.invite(actor_for(create_team(inviter), inviter), email=ADDRESS, role=Role.MEMBER)
    body = {"token": link_token("team_invitation"), "password": NEW, "full_name": "Owner"}
    return product.post("/api/invitations/register", body)


PROOFS = pytest.mark.parametrize("prove", [by_reset, by_provider, by_invitation])


@pytest.fixture
def squatter(product: ServiceClient) -> Person:
    """Somebody registered another person's address and set up all that an account can hold."""
    person = user_factories.create_customer(ADDRESS, full_name="Not Her")
    setup = product.post("/api/auth/mfa/totp", token=person.token).json()
    code = pyotp.TOTP(setup["secret"]).now()
    on = product.post("/api/auth/mfa/totp/confirm", {"code": code}, token=person.token).json()
    product.cookies.clear()
    person = Person(person.user, on["access_token"], on["refresh_token"], "", on["session_id"])
    product.post("/api/auth/login", {"email": ADDRESS, "password": PASSWORD})
    product.put(
        "/api/users/profile", {"biography": "Hers no more", "avatar_url": "https://a.example"}, token=person.token
    )
    OAuthIdentity.objects.create(provider="google", issuer="https://id.example", subject="squatter", user=person.user)
    team = create_team(person, "Theirs")
    create_api_key(team, with_verified_email(person))
    User.objects.filter(pk=person.user.pk).update(email_verified_at=None)
    invitations.invite(actor_for(team, person), email="accomplice@example.org", role=Role.ADMIN)
    return person


@PROOFS
def test_who_proves_the_mailbox_gets_an_unconfirmed_account_clean(product, idp, squatter: Person, prove: Prove) -> None:
    epoch = User.objects.get(email=ADDRESS).token_epoch

    proven = prove(product, idp)

    assert proven.status_code in {200, 201}
    user = User.objects.get(email=ADDRESS)
    assert (user.pk, user.is_verified, user.check_password(PASSWORD)) == (squatter.user.pk, True, False)
    assert user.token_epoch == epoch + 1
    assert "Not Her" not in str(list(User.objects.values()) + list(Profile.objects.values()))
    assert Profile.objects.get(user=user).biography == Profile.objects.get(user=user).avatar_url == ""
    assert [table for table in (Totp, RecoveryCode, PendingLogin) if table.objects.exists()] == []
    assert not OAuthIdentity.objects.filter(subject="squatter").exists()
    assert not ApiKey.objects.current().exists()
    assert not Invitation.objects.open().filter(invited_by=user).exists()
    assert not OneTimeToken.objects.filter(user=user, used_at=None).exists()
    assert not LoginSession.objects.filter(sid=squatter.session_id).exists()
    assert AuditEvent.objects.filter(action="user.handed_over", target=user.id).count() == 1
    assert [mail.to for mail in deliver_queued_mails("account_handed_over")] == [[ADDRESS]]


@PROOFS
def test_nothing_that_the_one_before_holds_opens_it_any_more(product, idp, squatter: Person, prove: Prove) -> None:
    prove(product, idp)

    product.cookies.clear()
    assert product.get("/api/auth/me", token=squatter.token).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": squatter.refresh_token}).status_code == 401
    assert product.post("/api/auth/login", {"email": ADDRESS, "password": PASSWORD}).status_code == 401


@PROOFS
def test_what_staff_noted_of_the_account_stays(product, idp, squatter: Person, prove: Prove, settings) -> None:
    settings.USER_METADATA_WRITABLE = ("colour",)
    Profile.objects.filter(user=squatter.user).update(metadata={"crm_id": "42", "colour": "red"})

    prove(product, idp)

    assert Profile.objects.get(user=squatter.user).metadata == {"crm_id": "42"}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_staff_note_during_the_handover_stays() -> None:
    user, staff = user_factories.create_customer().user, user_factories.create_staff_member().user

    second_waits_for_first(
        lambda: change_user_metadata(user, by=staff, changes={"crm_id": "42"}),
        lambda: account_handover.remove_previous_access(user),
    )

    assert Profile.objects.get(user=user).metadata == {"crm_id": "42"}


def test_after_her_reset_no_second_factor_of_a_stranger_locks_her_out(product, idp, squatter: Person) -> None:
    by_reset(product, idp)

    assert User.objects.get(email=ADDRESS).last_login is None
    entered = product.post("/api/auth/login", {"email": ADDRESS, "password": NEW})

    assert (entered.status_code, entered.json().get("mfa_required")) == (200, None)
    assert entered.json()["user"]["full_name"] == ""


def test_a_providers_word_hands_over_and_logs_in(product, idp, squatter: Person) -> None:
    entered = by_provider(product, idp)

    assert (entered.status_code, entered.json()["user"]["id"]) == (200, squatter.user.id)
    assert entered.json()["user"]["is_verified"] is True
    assert OAuthIdentity.objects.get().provider == "oidc"
    assert not User.objects.get(email=ADDRESS).has_usable_password()


@pytest.mark.parametrize("claim", [{}, {"email_verified": False}], ids=str)
def test_a_provider_that_does_not_vouch_hands_over_nothing(product, idp, squatter: Person, claim) -> None:
    url = product.get("/api/auth/oauth/oidc").headers["Location"]

    refused = product.post("/api/auth/oauth/oidc/callback", idp.approve(url, email=ADDRESS, **claim))

    assert (refused.status_code, refused.json()["code"]) == (409, "account_exists")
    assert (Totp.objects.count(), ApiKey.objects.current().count()) == (1, 1)
    assert not User.objects.get(email=ADDRESS).is_verified


@pytest.mark.parametrize("status", ["disabled", "deleted"])
def test_a_banned_or_deleted_account_is_handed_to_nobody(product, idp, squatter: Person, status: str) -> None:
    User.objects.filter(pk=squatter.user.pk).update(status=status)

    by_word, by_token = by_provider(product, idp), by_invitation(product, idp)

    assert (by_word.status_code, by_word.json()["code"]) == (409, "account_exists")
    assert (by_token.status_code, by_token.json()["code"]) == (409, "email_taken")
    assert not User.objects.get(email=ADDRESS).is_verified


def test_a_confirmed_account_keeps_all_of_it(product, idp, squatter: Person) -> None:
    with_verified_email(squatter)

    by_word, by_token = by_provider(product, idp), by_invitation(product, idp)

    assert (by_word.status_code, by_token.status_code) == (409, 409)
    assert User.objects.get(email=ADDRESS).check_password(PASSWORD)
    assert product.get("/api/auth/me", token=squatter.token).status_code == 200
    assert (Totp.objects.count(), ApiKey.objects.current().count()) == (1, 1)


def test_the_registrations_own_link_confirms_the_account_as_it_is(product, squatter: Person) -> None:
    token = link_token("welcome")

    assert product.post("/api/auth/email/verify", {"token": token}).status_code == 200

    user = User.objects.get(email=ADDRESS)
    assert (user.is_verified, user.full_name, user.check_password(PASSWORD)) == (True, "Not Her", True)
    assert product.get("/api/auth/me", token=squatter.token).status_code == 200
    assert (Totp.objects.count(), ApiKey.objects.current().count()) == (1, 1)


def test_earlier_guesses_at_the_password_do_not_keep_her_out(product, idp, squatter: Person) -> None:
    product.cookies.clear()
    for _ in range(5):
        product.post("/api/auth/login", {"email": ADDRESS, "password": "not the password"})

    by_invitation(product, idp)

    product.cookies.clear()
    assert product.post("/api/auth/login", {"email": ADDRESS, "password": NEW}).status_code == 200


def test_an_impersonation_ends_and_its_record_is_kept(product, idp, squatter: Person, staff_member: Person) -> None:
    by = LoginSession.objects.get(user=staff_member.user)
    row, token = impersonate(squatter.user, by=by, request=ImpersonationRequest("ticket 1"))

    by_reset(product, idp)

    assert Impersonation.objects.get() == row
    assert product.get("/api/auth/me", token=token).status_code == 401


def test_what_was_bought_and_founded_stays(product, idp, squatter: Person) -> None:
    by_reset(product, idp)

    assert [row.team.name for row in Membership.objects.for_user(User.objects.get(email=ADDRESS))] == ["Theirs"]


# ── A newcomer's invitation ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def invited(customer: Person) -> str:
    """The token of an invitation to an address without an account."""
    invitations.invite(actor_for(create_team(customer), customer), email="New@Example.org", role=Role.ADMIN)
    return link_token("team_invitation")


def register(product: ServiceClient, token: str, **body: Any) -> Any:
    return product.post("/api/invitations/register", {"token": token, "password": NEW, **body})


def test_an_invitation_makes_a_newcomer_a_confirmed_member_in_one_step(product, invited: str) -> None:
    answered = register(product, invited, full_name="Ada New", email="elsewhere@example.org")

    assert answered.status_code == 201
    body = answered.json()
    assert (body["user"]["email"], body["user"]["full_name"]) == ("New@Example.org", "Ada New")
    assert (body["user"]["is_verified"], body["team"]["role"]) == (True, "admin")
    assert product.get(f"/api/teams/{body['team']['id']}", token=body["access_token"]).status_code == 200
    assert product.get("/api/auth/me").status_code == 200  # by the cookie
    assert "verify?token=" not in str(deliver_queued_mails("welcome")[-1].body)


@pytest.mark.parametrize("token", ["it_nothing", "\u00e9"])
def test_a_token_that_is_none_registers_nobody(product, customer: Person, token: str) -> None:
    refused = register(product, token)

    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert User.objects.count() == 1


def test_an_invitation_registers_once(product, invited: str) -> None:
    assert register(product, invited).status_code == 201

    again = register(product, invited)

    assert (again.status_code, again.json()["code"]) == (409, "invitation_used")
    assert User.objects.count() == 2


@pytest.mark.parametrize("password", ["short", "password1234", "new@example.org"])
def test_an_invited_newcomers_password_keeps_to_the_rules(product, invited: str, password: str) -> None:
    refused = register(product, invited, password=password)

    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["password"])
    assert User.objects.count() == 1


def test_without_a_free_seat_nobody_is_registered_or_handed_over(product, customer: Person, invited: str) -> None:
    squatter = user_factories.create_customer("new@example.org")
    team = Membership.objects.get(user=customer.user).team
    for _ in range(2):
        add_member(team, Role.MEMBER)

    refused = register(product, invited)

    assert (refused.status_code, refused.json()["code"]) == (409, "seat_limit")
    assert User.objects.get(pk=squatter.user.pk).check_password(PASSWORD)
    assert product.get("/api/auth/me", token=squatter.token).status_code == 200


def test_an_address_that_is_staffs_is_handed_to_nobody(db) -> None:
    user_factories.create_staff_member("staff@example.org")
    User.objects.update(email_verified_at=None)

    with pytest.raises(account_handover.EmailTaken):
        account_handover.log_in_verified_email(
            email="staff@example.org", full_name="", encoded=account_handover.NO_PASSWORD, methods="fed"
        )
