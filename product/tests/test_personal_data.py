"""A person's data as one document, and the end of an account (T06, T11)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas import request_context
from saas.accounts import tasks
from saas.accounts.models import (
    Deletion,
    FailedAttempts,
    LoginSession,
    OAuthIdentity,
    OneTimeToken,
    Profile,
    ResetRequest,
    Totp,
    User,
    UserNote,
)
from saas.accounts.oauth import identities
from saas.accounts.oauth.providers import Identity
from saas.accounts.passwords import login_throttle
from saas.accounts.privacy import account_deletion, erasure
from saas.accounts.sessions.logins import InvalidCredentials
from saas.accounts.staff.staff_administration import add_note
from saas.audit.models import AuditEvent
from saas.billing import checkouts, payment_methods, subscriptions
from saas.billing.models import Customer, Invoice, LedgerEntry, PaymentMethod
from saas.mail.models import Mail
from saas.teams import invitations
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
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

WAIT = timedelta(days=14)


def delete(product: ServiceClient, person: Person, body: Any = None) -> Any:
    return product.delete("/api/users/me", body, token=person.token)


def keep(product: ServiceClient, token: str) -> Any:
    return product.post("/api/auth/deletion/cancel", {"token": token})


def log_in(product: ServiceClient, person: Person) -> Any:
    return product.post("/api/auth/login", {"email": person.user.email, "password": PASSWORD})


def later(by: timedelta) -> Any:
    return time_machine.travel(datetime.now(UTC) + by, tick=False)


def erase() -> None:
    with later(WAIT + timedelta(seconds=1)):
        erasure.erase_due_accounts()


def move_to_new_address(product: ServiceClient, person: Person) -> None:
    """Prove the address of the registration, then change it to new@example.org."""
    product.post("/api/auth/email/verify", {"token": link_token("welcome")})
    product.post("/api/auth/email/change", {"new_email": "new@example.org"}, token=person.token)
    product.post("/api/auth/email/verify", {"token": link_token("confirm_new_email")})


def invite_in_another_spelling(person: Person, inviter: Person) -> str:
    spelled = person.user.email.upper()
    team = create_team(with_verified_email(inviter))
    invitations.invite(actor_for(team, inviter), email=spelled, role=Role.MEMBER)
    return spelled


# ── The export ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_export_tells_everything_and_nothing_of_others(
    product, customer: Person, other: Person, staff_member: Person
) -> None:
    team = create_team(with_verified_email(customer), "Sentinels")
    add_member(team, Role.MEMBER, with_verified_email(other))
    create_api_key(team, with_verified_email(customer))
    checkouts.start_checkout(customer.user, plan_id="starter")
    payment_methods.add_payment_method(customer.user, type="card", provider="visa", last4="4242")
    with request_context.use_context(request_context.Context(address="198.51.100.7")):
        add_note(customer.user, by=staff_member.user, text="Called about an invoice.")

    answer = product.get("/api/users/export", token=customer.token)

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{customer.user.id}.json"'
    told = answer.json()["personal_data"]
    assert told["account"]["email"] == customer.user.email
    assert told["profile"]["display_name"] == "Kim Example"
    assert [row["team__name"] for row in told["memberships"]] == ["Sentinels"]
    assert [row["plan_id"] for row in told["subscriptions"]] == ["starter"]
    assert "4242" in [row["last4"] for row in told["payment_methods"]]
    assert [row["text"] for row in told["notes"]] == ["Called about an invoice."]
    assert [row["template"] for row in told["mails"]] == ["welcome", "api_key_created", "receipt"]
    assert {row["by"] for row in told["security_log"]} == {"you", "staff"}
    assert len(told["sessions"]) == len(told["api_keys"]) == 1
    page = answer.content.decode()
    assert other.user.email not in page
    assert staff_member.user.id not in page
    assert "198.51.100.7" not in page


def test_the_export_leaves_out_mails_to_an_address_that_is_another_accounts_now(product, customer: Person) -> None:
    given_up = customer.user.email
    move_to_new_address(product, customer)
    user_factories.create_customer(given_up, full_name="Ola Other")
    token = product.post("/api/auth/login", {"email": "new@example.org", "password": PASSWORD}).json()["access_token"]
    product.post("/api/auth/email/change", {"new_email": "unproven@example.org"}, token=token)  # may be a stranger's

    mails = product.get("/api/users/export", token=token).json()["personal_data"]["mails"]

    assert {mail["recipient"] for mail in mails} == {"new@example.org"}


def test_the_export_names_mails_to_another_spelling_of_her_address(product, customer: Person, other: Person) -> None:
    spelled = invite_in_another_spelling(customer, other)

    mails = product.get("/api/users/export", token=customer.token).json()["personal_data"]["mails"]

    assert spelled in {mail["recipient"] for mail in mails}


def test_the_export_holds_no_secret(product, customer: Person) -> None:
    create_team(with_verified_email(customer))

    page = product.get("/api/users/export", token=customer.token).content.decode()

    assert User.objects.get(pk=customer.user.pk).password not in page
    assert LoginSession.objects.get(user=customer.user).session_key not in page
    assert OneTimeToken.objects.get(user=customer.user).token_hash not in page
    assert "sealed" not in page


# ── Giving up ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_account_that_was_banned_meanwhile_is_not_given_up(customer: Person) -> None:
    User.objects.update(status="disabled")

    with pytest.raises(InvalidCredentials):
        account_deletion.delete_account(customer.user)

    assert not Deletion.objects.exists()


def test_whoever_gives_up_her_account_is_out_at_once_everywhere(product, parity, customer: Person) -> None:
    answer = delete(product, customer)

    assert answer.status_code == 202
    times = {name: datetime.fromisoformat(at) for name, at in answer.json()["deletion"].items()}
    assert times["due_at"] - times["requested_at"] == WAIT
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert parity.get("/auth/me", token=customer.token).status_code == 401
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 401
    refused = log_in(product, customer)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    assert User.objects.get().status == "deleted"
    assert AuditEvent.objects.filter(action="user.deletion_requested", target=customer.user.id).count() == 1


def test_an_old_login_needs_the_password_first(product, customer: Person) -> None:
    with later(timedelta(minutes=6)):
        without, wrong = delete(product, customer), delete(product, customer, {"current_password": "not the right one"})
        assert (without.status_code, without.json()["code"]) == (403, "reauth_required")
        assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["current_password"])
        assert not Deletion.objects.exists()

        assert delete(product, customer, {"current_password": PASSWORD}).status_code == 202


def test_her_address_stays_taken_until_she_is_erased(product, customer: Person) -> None:
    delete(product, customer)
    again = {"email": customer.user.email, "password": PASSWORD}
    assert product.post("/api/auth/register", again).status_code == 409

    erase()

    assert product.post("/api/auth/register", again).status_code == 201


def test_a_subscription_that_would_go_on_has_to_be_canceled_first(product, customer: Person) -> None:
    checkouts.start_checkout(customer.user, plan_id="starter")

    refused = delete(product, customer)
    assert (refused.status_code, refused.json()["code"]) == (409, "still_subscribed")
    assert User.objects.get().status == "active"
    assert product.get("/api/auth/me", token=customer.token).status_code == 200

    subscriptions.cancel_subscription(customer.user, at_period_end=True, reason="", by=customer.user)
    assert delete(product, customer).status_code == 202


def test_the_only_owner_hands_a_team_with_others_over_first(product, customer: Person, other: Person) -> None:
    team = create_team(with_verified_email(customer))
    add_member(team, Role.ADMIN, other)

    refused = delete(product, customer)
    assert (refused.status_code, refused.json()["code"]) == (409, "team_needs_owner")
    assert not Deletion.objects.exists()

    Membership.objects.filter(user=other.user).update(role=Role.OWNER)
    assert delete(product, customer).status_code == 202


def test_of_two_owners_the_second_cannot_go_while_the_first_waits(product, customer: Person, other: Person) -> None:
    add_member(create_team(with_verified_email(customer)), Role.OWNER, other)
    assert delete(product, customer).status_code == 202

    refused = delete(product, other)

    assert (refused.status_code, refused.json()["code"]) == (409, "team_needs_owner")


def test_a_team_that_is_paid_for_stands_in_the_way(product, customer: Person) -> None:
    team = create_team(with_verified_email(customer))
    checkouts.start_checkout(customer.user, plan_id="starter", owner=team)

    refused = delete(product, customer)

    assert (refused.status_code, refused.json()["code"]) == (409, "team_subscribed")


# ── Taking it back ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_mailed_link_undoes_it_once(product, customer: Person) -> None:
    delete(product, customer)
    token = link_token("deletion_requested")

    first, second = keep(product, token), keep(product, token)

    assert (first.status_code, first.json()) == (200, {"status": "kept"})
    assert (second.status_code, second.json()["code"]) == (400, "link_invalid")
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert log_in(product, customer).status_code == 200
    assert [mail.to for mail in deliver_queued_mails("deletion_canceled")] == [[customer.user.email]]
    assert AuditEvent.objects.get(action="user.deletion_canceled").target == customer.user.id
    erase()
    assert User.objects.get().email == customer.user.email


def test_who_asks_for_a_password_meanwhile_gets_the_link_that_keeps_the_account(product, customer: Person) -> None:
    delete(product, customer)
    Mail.objects.all().delete()

    answer = product.post("/api/auth/password/forgot", {"email": customer.user.email})
    tasks.answer_reset_request(ResetRequest.objects.get().pk)

    assert answer.status_code == 202
    assert [mail.template for mail in Mail.objects.all()] == ["deletion_requested"]
    assert AuditEvent.objects.get(action="user.keep_link_sent").target == customer.user.id
    assert product.post("/api/auth/deletion/cancel", {"token": link_token("deletion_requested")}).status_code == 200
    assert product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).status_code == 200


def test_once_the_erasure_is_due_no_link_keeps_the_account(product, customer: Person) -> None:
    delete(product, customer)
    Mail.objects.all().delete()

    with later(WAIT):
        product.post("/api/auth/password/forgot", {"email": customer.user.email})
        tasks.answer_reset_request(ResetRequest.objects.get().pk)

    assert not Mail.objects.exists()


def test_the_link_works_for_fourteen_days(product, customer: Person) -> None:
    delete(product, customer)
    token = link_token("deletion_requested")

    with later(WAIT + timedelta(seconds=1)):
        assert keep(product, token).status_code == 400
    with later(WAIT - timedelta(seconds=5)):
        assert keep(product, token).status_code == 200


@pytest.mark.parametrize(("token", "status"), [("keep_nonsense", 400), ("\u0000", 400), ("x" * 300, 422)])
def test_another_token_undoes_nothing(product, customer: Person, token: str, status: int) -> None:
    delete(product, customer)

    assert keep(product, token).status_code == status
    assert User.objects.get().status == "deleted"


def test_an_old_link_does_not_undo_a_later_deletion_twice(product, customer: Person) -> None:
    delete(product, customer)
    old = link_token("deletion_requested")
    keep(product, old)
    token = log_in(product, customer).json()["access_token"]
    product.delete("/api/users/me", token=token)

    assert keep(product, old).status_code == 400
    assert User.objects.get().status == "deleted"


def test_one_of_two_links_that_was_left_undoes_no_later_deletion(product, customer: Person) -> None:
    delete(product, customer)
    left = link_token("deletion_requested")
    product.post("/api/auth/password/forgot", {"email": customer.user.email})
    tasks.answer_reset_request(ResetRequest.objects.get().pk)
    keep(product, link_token("deletion_requested"))
    product.delete("/api/users/me", token=log_in(product, customer).json()["access_token"])

    assert keep(product, left).status_code == 400
    assert User.objects.get().status == "deleted"


def test_the_page_behind_the_link_undoes_it_when_asked_and_not_before(product, customer: Person) -> None:
    delete(product, customer)
    token = link_token("deletion_requested")

    assert product.get(f"/keep?token={token}").status_code == 200
    assert User.objects.get().status == "deleted"
    page = product.submit_form("/keep", {"token": token})

    assert (page.status_code, b"Your account stays" in page.content) == (200, True)
    assert User.objects.get().status == "active"


# ── Afterwards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_fourteen_days_nobody_can_tell_whose_account_it_was(
    product, customer: Person, staff_member: Person
) -> None:
    product.post("/api/auth/mfa/totp", token=customer.token)
    product.post("/api/auth/password/forgot", {"email": customer.user.email})
    identities.link_identity(
        Identity("oidc", "https://id.example", "kim-1", customer.user.email, True, "Kim"),
        session=LoginSession.objects.get(user=customer.user),
    )
    add_note(customer.user, by=staff_member.user, text="Called about an invoice.")
    login_throttle.count_attempt(login_throttle.second_factor_key(customer.user.id))
    User.objects.filter(pk=customer.user.pk).update(status_reason="Was banned for a day.")
    log_in(product, customer)
    delete(product, customer)

    erase()

    row = User.objects.get(pk=customer.user.pk)
    assert (row.email, row.full_name, row.status) == (f"{row.id}@deleted.invalid", "", "deleted")
    assert row.status_reason == ""
    assert (row.email_canonical, row.last_login, row.has_usable_password()) == (row.email, None, False)
    personal = (Profile, OAuthIdentity, UserNote, OneTimeToken, Totp, LoginSession)
    assert [model for model in personal if model.objects.filter(user=customer.user).exists()] == []
    assert not Mail.objects.filter(recipient=customer.user.email).exists()
    assert not ResetRequest.objects.exists()
    assert FailedAttempts.objects.count() == 1  # that of sam's own login
    assert AuditEvent.objects.filter(action="user.erased", target=row.id).count() == 1


def test_mails_to_another_spelling_of_her_address_are_erased_too(product, customer: Person, other: Person) -> None:
    spelled = invite_in_another_spelling(customer, other)
    assert Mail.objects.filter(recipient=spelled).count() == 1
    delete(product, customer)

    erase()

    assert not Mail.objects.filter(recipient__iexact=customer.user.email).exists()


def test_mails_to_the_next_owner_of_an_address_stay_in_any_spelling(product, customer: Person) -> None:
    given_up = customer.user.email
    move_to_new_address(product, customer)
    user_factories.create_customer(given_up.upper(), full_name="Ola Other")
    token = product.post("/api/auth/login", {"email": "new@example.org", "password": PASSWORD}).json()["access_token"]
    product.delete("/api/users/me", {"current_password": PASSWORD}, token=token)

    erase()

    assert Mail.objects.filter(recipient=given_up.upper(), template="welcome").count() == 1


def test_mails_to_an_address_that_she_proved_before_are_erased_too(product, customer: Person) -> None:
    move_to_new_address(product, customer)
    token = product.post("/api/auth/login", {"email": "new@example.org", "password": PASSWORD}).json()["access_token"]
    product.delete("/api/users/me", token=token)

    erase()

    assert not Mail.objects.exists()


def test_before_its_time_nothing_is_erased(product, customer: Person) -> None:
    delete(product, customer)

    with later(WAIT - timedelta(minutes=1)):
        tasks.tidy()

    assert User.objects.get().email == customer.user.email
    assert Profile.objects.filter(user=customer.user).exists()
    with time_machine.travel(Deletion.objects.get().due_at, tick=False):
        tasks.tidy()
    assert not Profile.objects.filter(user=customer.user).exists()


def test_an_account_is_erased_once(product, customer: Person) -> None:
    delete(product, customer)

    erase()
    erase()

    assert AuditEvent.objects.filter(action="user.erased").count() == 1


def test_invoices_and_the_ledger_outlive_her(product, customer: Person) -> None:
    checkouts.start_checkout(customer.user, plan_id="starter")
    subscriptions.cancel_subscription(customer.user, at_period_end=False, reason="", by=customer.user)
    kept = (Invoice.objects.count(), LedgerEntry.objects.count())
    assert min(kept) > 0
    delete(product, customer)

    erase()

    assert (Invoice.objects.count(), LedgerEntry.objects.count()) == kept
    assert Customer.objects.get().email == ""
    assert not PaymentMethod.objects.exists()


def test_teams_go_with_her_or_go_on_without_her(product, customer: Person, other: Person) -> None:
    alone, shared = (
        create_team(with_verified_email(customer), "Alone"),
        Team.objects.create(name="Shared", owner=customer.user),
    )
    create_api_key(alone, with_verified_email(customer))
    add_member(shared, Role.OWNER, customer)
    add_member(shared, Role.OWNER, other)
    delete(product, customer)

    erase()

    alone.refresh_from_db()
    shared.refresh_from_db()
    assert alone.deleted_at is not None
    assert (shared.deleted_at, shared.owner_id) == (None, other.user.id)
    assert list(Membership.objects.values_list("user", flat=True)) == [other.user.id]
    assert not ApiKey.objects.exists()


def test_invitations_to_her_are_forgotten(product, customer: Person, other: Person) -> None:
    team = create_team(with_verified_email(other))
    invitations.invite(actor_for(team, other), email=customer.user.email.upper(), role=Role.MEMBER)
    delete(product, customer)

    erase()

    assert not Invitation.objects.exists()


def test_what_came_in_the_way_meanwhile_puts_it_off(product, customer: Person, other: Person) -> None:
    add_member(create_team(with_verified_email(customer)), Role.OWNER, other)
    delete(product, customer)
    Membership.objects.filter(user=other.user).update(role=Role.ADMIN)

    erase()
    assert User.objects.get(pk=customer.user.pk).email == customer.user.email

    Membership.objects.filter(user=other.user).update(role=Role.OWNER)
    with later(WAIT + timedelta(days=2)):
        tasks.tidy()
    assert User.objects.get(pk=customer.user.pk).email == f"{customer.user.id}@deleted.invalid"


# ── At once ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_two_owners_who_go_at_once_leave_one_behind() -> None:
    customer, ola = user_factories.create_customer(), user_factories.create_customer()
    add_member(create_team(with_verified_email(customer)), Role.OWNER, with_verified_email(ola))

    outcomes = run_concurrently(
        lambda: account_deletion.delete_account(customer.user), lambda: account_deletion.delete_account(ola.user)
    )

    assert outcomes == ["done", "team_needs_owner"]
    assert Deletion.objects.count() == User.objects.filter(status="deleted").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_keeping_and_erasing_at_once_one_wins() -> None:
    customer = user_factories.create_customer()
    account_deletion.delete_account(customer.user)
    token = link_token("deletion_requested")
    Deletion.objects.update(due_at=datetime.now(UTC))

    outcomes = run_concurrently(lambda: account_deletion.cancel_deletion(token), erasure.erase_due_accounts)

    customer.user.refresh_from_db()
    kept = (customer.user.status, customer.user.full_name) == ("active", "Kim Example")
    erased = (customer.user.status, customer.user.full_name) == ("deleted", "")
    assert outcomes == (["done", "done"] if kept else ["done", "link_invalid"])
    assert kept or erased
