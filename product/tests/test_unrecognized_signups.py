"""A verification link proves the mailbox, it does not confirm somebody else's account (T92)."""

from typing import Any

import pytest

from saas.accounts.models import Deletion, LoginSession, OneTimeToken, Profile, Totp, User
from saas.audit.models import AuditEvent
from saas.billing import checkouts
from saas.mail.models import Mail
from saas.teams import invitations
from saas.teams.models import Invitation, Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, add_member, create_team, with_verified_email
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token

ADDRESS = "owner@example.org"


@pytest.fixture
def stranger(db) -> Person:
    """Somebody registered another person's address."""
    return user_factories.create_customer(ADDRESS, full_name="Not Her")


@pytest.fixture
def token(stranger: Person) -> str:
    """Of the link that the address's owner got."""
    return link_token("welcome")


@pytest.fixture
def change(product: ServiceClient, customer: Person) -> str:
    """Of the link by which Kim would give her account another person's address."""
    product.post("/api/auth/email/change", {"new_email": ADDRESS}, token=customer.token)
    return link_token("confirm_new_email")


def disown(client: ServiceClient, token: str, path: str = "/api/auth/email/disown") -> Any:
    return client.post(path, {"token": token})


def is_gone(user: User) -> bool:
    row = User.objects.get(pk=user.pk)
    return (row.status, row.email, row.full_name) == ("deleted", f"{row.id}@deleted.invalid", "")


# ── Whose account it is ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_names_the_account_and_changes_nothing(product, stranger: Person, token: str) -> None:
    page = product.get(f"/verify?token={token}")

    html = page.content.decode()
    assert page.status_code == 200
    assert f"<strong>{ADDRESS}</strong> under the name <strong>Not Her</strong>" in html
    assert f"{stranger.user.created_at:%-d %B %Y}" in html
    assert "This was not me: remove the account" in html
    assert not User.objects.get().is_verified
    assert OneTimeToken.objects.get().used_at is None


def test_a_name_writes_no_link_and_no_markup_onto_the_page(product, stranger: Person, token: str) -> None:
    User.objects.update(full_name="Win at www.evil.example")
    with_link = product.get(f"/verify?token={token}").content.decode()
    User.objects.update(full_name="<b>Bob</b>")
    with_markup = product.get(f"/verify?token={token}").content.decode()

    assert "evil" not in with_link
    assert "<b>" not in with_markup


def test_the_page_of_a_change_masks_the_accounts_own_address(product, customer, change: str) -> None:
    html = product.get(f"/verify?token={change}").content.decode()

    assert customer.user.email not in html
    assert "k…@example.net" in html
    assert f"<strong>{ADDRESS}</strong>" in html
    assert "This was not me: call it off" in html


@pytest.mark.parametrize("token", ["", "verify_nonsense", "%00", "reset_x"])
def test_the_page_of_a_link_that_is_over_offers_no_button(product, stranger: Person, token: str) -> None:
    page = product.get(f"/verify?token={token}")

    assert page.status_code == 400
    assert b"<button" not in page.content


def test_a_front_end_of_ones_own_can_name_the_account_too(product, parity, stranger: Person, token: str) -> None:
    told = product.post("/api/auth/email/verify/preview", {"token": token})
    at_parity = parity.post("/auth/email/verify/preview", {"token": token})

    assert told.status_code == 200
    assert (told.json()["purpose"], told.json()["email"]) == ("verify", ADDRESS)
    account = told.json()["account"]
    assert (account["full_name"], account["email"]) == ("Not Her", ADDRESS)
    assert set(at_parity.json()["account"]) == {"fullName", "email", "registeredAt"}
    assert not User.objects.get().is_verified


def test_a_change_is_previewed_with_a_masked_address(product, customer: Person, change: str) -> None:
    told = product.post("/api/auth/email/verify/preview", {"token": change}).json()

    assert (told["purpose"], told["email"], told["account"]["email"]) == ("change", ADDRESS, "k…@example.net")


# ── This was not me ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("service_name", "path"), [("product", "/api/auth/email/disown"), ("parity", "/auth/email/disown")]
)
def test_reporting_an_unrecognized_registration_removes_the_account(
    service, stranger, token: str, service_name, path: str
) -> None:
    client = service(service_name)

    answered = disown(client, token, path)

    assert (answered.status_code, answered.json()) == (200, {"status": "removed"})
    assert is_gone(stranger.user)
    assert service("product").get("/api/auth/me", token=stranger.token).status_code == 401
    assert [table for table in (Profile, LoginSession, Totp, OneTimeToken) if table.objects.exists()] == []
    assert "Not Her" not in str(list(Mail.objects.values()))
    assert AuditEvent.objects.filter(action="user.disowned", target=stranger.user.id).count() == 1
    assert Deletion.objects.get().erased_at is not None


def test_the_address_is_free_at_once(product, stranger: Person, token: str) -> None:
    disown(product, token)

    assert product.post("/api/auth/login", {"email": ADDRESS, "password": PASSWORD}).status_code == 401
    assert product.post("/api/auth/register", {"email": ADDRESS, "password": PASSWORD}).status_code == 201


def test_the_pages_second_button_removes_it(product, stranger: Person, token: str) -> None:
    product.get(f"/verify?token={token}")

    page = product.submit_form("/verify", {"token": token, "answer": "not-mine"})

    assert (page.status_code, "The account is removed" in page.content.decode()) == (200, True)
    assert is_gone(stranger.user)


def test_a_form_of_another_site_removes_nothing(product, stranger: Person, token: str) -> None:
    raw = f"token={token}&answer=not-mine".encode()
    refused = product.post("/verify", raw=raw, content_type="application/x-www-form-urlencoded")

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert User.objects.get().is_active


def test_the_pages_first_button_confirms_it_as_it_is(product, stranger: Person, token: str) -> None:
    product.get(f"/verify?token={token}")

    product.submit_form("/verify", {"token": token, "answer": "mine"})

    row = User.objects.get()
    assert (row.is_verified, row.full_name, row.check_password(PASSWORD)) == (True, "Not Her", True)


def test_a_confirmed_account_cannot_be_reported_as_unrecognized(product, stranger: Person, token: str) -> None:
    product.post("/api/auth/email/resend", token=stranger.token)
    second = link_token("verify_email")
    product.post("/api/auth/email/verify", {"token": token})

    by_used, by_unused = disown(product, token), disown(product, second)

    assert (by_used.status_code, by_used.json()["code"]) == (400, "link_invalid")
    assert (by_unused.status_code, by_unused.json()["code"]) == (400, "link_invalid")
    assert User.objects.get().is_active


def test_neither_can_one_that_was_handed_over(product, stranger: Person, token: str) -> None:
    with_verified_email(stranger)

    assert disown(product, token).status_code == 400
    assert User.objects.get().is_active


def test_a_ban_is_not_lifted_by_disowning(product, stranger: Person, token: str) -> None:
    User.objects.update(status="disabled")

    assert disown(product, token).status_code == 400
    assert User.objects.get().email == ADDRESS


def test_a_change_is_called_off_and_the_account_stays(product, customer: Person, change: str) -> None:
    answered = disown(product, change)

    assert (answered.status_code, answered.json()) == (200, {"status": "called_off"})
    assert product.post("/api/auth/email/verify", {"token": change}).status_code == 400
    assert User.objects.get().email == customer.user.email
    assert product.get("/api/auth/me", token=customer.token).status_code == 200
    assert AuditEvent.objects.filter(action="email.change_disowned", target=customer.user.id).count() == 1


@pytest.mark.parametrize("token", ["verify_nonsense", "\u00e9", "x" * 200])
def test_a_link_that_is_none_removes_nothing(product, stranger: Person, token: str) -> None:
    assert disown(product, token).status_code == 400
    assert User.objects.get().is_active


def test_a_reset_link_removes_nothing(product, stranger: Person) -> None:
    from saas.accounts.passwords.password_reset_mails import mail_reset_link

    mail_reset_link(stranger.user, by="system")

    assert disown(product, link_token("password_reset")).status_code == 400
    assert User.objects.get().is_active


def test_accomplices_in_a_team_do_not_stand_in_the_way(product, stranger: Person, token: str) -> None:
    team = create_team(stranger)
    accomplice = add_member(team, Role.ADMIN)

    assert disown(product, token).status_code == 200

    assert is_gone(stranger.user)
    assert not Membership.objects.filter(user=accomplice.user).exists()
    assert not Team.objects.live().exists()


def test_a_team_with_another_owner_goes_on(product, stranger: Person, token: str) -> None:
    team = create_team(stranger)
    heir = add_member(team, Role.OWNER)

    assert disown(product, token).status_code == 200

    assert Team.objects.live().get().owner == heir.user


def test_what_is_paid_for_is_canceled_first(product, stranger: Person, token: str) -> None:
    checkouts.start_checkout(stranger.user, plan_id="starter")

    refused = disown(product, token)
    page = (
        product.get(f"/verify?token={token}"),
        product.submit_form("/verify", {"token": token, "answer": "not-mine"}),
    )[1]

    assert (refused.status_code, refused.json()["code"]) == (409, "still_subscribed")
    assert (page.status_code, 'href="/forgot"' in page.content.decode()) == (409, True)
    assert User.objects.get().is_active
    assert product.get("/api/auth/me", token=stranger.token).status_code == 200


def test_invitations_to_the_addresss_owner_outlive_the_stranger(
    product, customer: Person, stranger, token: str
) -> None:
    invitations.invite(actor_for(create_team(customer), customer), email=ADDRESS, role=Role.MEMBER)
    hers = link_token("team_invitation")

    disown(product, token)

    assert Invitation.objects.open().filter(email=ADDRESS).exists()
    body = {"token": hers, "password": "an entirely new phrase"}
    assert product.post("/api/invitations/register", body).status_code == 201


def test_the_mails_say_that_there_is_another_answer(product, stranger: Person) -> None:
    product.post("/api/auth/email/resend", token=stranger.token)

    texts = [str(mail.body) for template in ("welcome", "verify_email") for mail in deliver_queued_mails(template)]

    assert ["the account is removed" in text for text in texts] == [True, True]


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_confirming_and_disowning_at_once_one_wins(service) -> None:
    from saas.accounts import email_verification

    person = user_factories.create_customer(ADDRESS)
    token = link_token("welcome")

    outcome = run_concurrently(
        lambda: email_verification.verify_email(token), lambda: email_verification.report_unrecognized(token)
    )

    assert outcome == ["done", "link_invalid"]
    row = User.objects.get(pk=person.user.pk)
    assert (row.status, row.is_verified) in {("active", True), ("deleted", False)}
