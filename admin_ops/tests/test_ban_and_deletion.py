"""A ban and a pending deletion of one account do not cancel each other (T91)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.accounts.models import Deletion, User
from saas.accounts.privacy import erasure
from saas.audit.models import AuditEvent
from saas.billing import checkouts
from saas.mail.models import Mail
from saas.mail.rendering import render_message
from saas.testing.clients import ServiceClient
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import deliver_queued_mails, link_token


@pytest.fixture
def leaving(product: ServiceClient, customer: Person) -> Person:
    """A user whose deletion is pending."""
    assert product.delete("/api/users/me", token=customer.token).status_code == 202
    return customer


def ban(admin_ops: ServiceClient, staff_member: Person, person: Person) -> Any:
    return admin_ops.put(f"/api/admin/users/{person.user.id}/ban", {"reason": "spam"}, token=staff_member.token)


def unban(admin_ops: ServiceClient, staff_member: Person, person: Person) -> Any:
    return admin_ops.put(f"/api/admin/users/{person.user.id}/unban", token=staff_member.token)


def keep(product: ServiceClient) -> Any:
    return product.post("/api/auth/deletion/cancel", {"token": link_token("deletion_requested")})


def log_in(product: ServiceClient, person: Person) -> int:
    return product.post("/api/auth/login", {"email": person.user.email, "password": PASSWORD}).status_code


def erase() -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=14, seconds=1), tick=False):
        erasure.erase_due_accounts()


def test_an_account_is_banned_while_its_deletion_is_pending(admin_ops, leaving: Person, staff_member: Person) -> None:
    answer = ban(admin_ops, staff_member, leaving)

    assert (answer.status_code, answer.json()["status"]) == (200, "banned")
    assert answer.json()["user"]["status"] == "disabled"
    due_at = Deletion.objects.pending().get(user=leaving.user).due_at
    page = admin_ops.get(f"/api/admin/users/{leaving.user.id}", token=staff_member.token).json()
    assert datetime.fromisoformat(page["deletion_due_at"]) == due_at
    assert AuditEvent.objects.filter(action="user.banned", target=leaving.user.id).count() == 1


def test_undoing_the_deletion_does_not_lift_the_ban(admin_ops, product, leaving: Person, staff_member: Person) -> None:
    ban(admin_ops, staff_member, leaving)

    kept = keep(product)

    assert (kept.status_code, kept.json()) == (200, {"status": "kept"})
    assert User.objects.get(pk=leaving.user.pk).status == "disabled"
    assert log_in(product, leaving) == 401
    assert "Log in" not in str(deliver_queued_mails("deletion_canceled")[0].body)


def test_a_ban_that_is_lifted_after_the_deletion_was_undone_lets_in(
    admin_ops, product, leaving, staff_member: Person
) -> None:
    ban(admin_ops, staff_member, leaving)
    keep(product)

    answer = unban(admin_ops, staff_member, leaving)

    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert log_in(product, leaving) == 200


def test_lifting_the_ban_does_not_undo_the_deletion(admin_ops, product, leaving: Person, staff_member: Person) -> None:
    ban(admin_ops, staff_member, leaving)

    answer = unban(admin_ops, staff_member, leaving)

    assert (answer.status_code, answer.json()["user"]["status"]) == (200, "deleted")
    assert log_in(product, leaving) == 401
    assert keep(product).status_code == 200
    assert log_in(product, leaving) == 200


def test_a_banned_account_is_erased_when_its_time_has_come(admin_ops, leaving: Person, staff_member: Person) -> None:
    ban(admin_ops, staff_member, leaving)

    erase()

    row = User.objects.get(pk=leaving.user.pk)
    assert (row.status, row.email, row.full_name) == ("deleted", f"{row.id}@deleted.invalid", "")
    assert (
        unban(admin_ops, staff_member, leaving).status_code == ban(admin_ops, staff_member, leaving).status_code == 409
    )


def test_undoing_a_deletion_unbans_nothing(admin_ops, leaving: Person, staff_member: Person) -> None:
    answer = unban(admin_ops, staff_member, leaving)

    assert (answer.status_code, answer.json()["code"]) == (409, "account_deleted")


def test_the_ban_is_available_while_a_deletion_is_pending(leaving: Person, other: Person) -> None:
    from admin_ops.actions.users import BAN

    User.objects.filter(pk=other.user.pk).update(status=User.Status.DELETED)  # erased: nothing is pending

    assert BAN.available_for(User.objects.get(pk=leaving.user.pk))
    assert not BAN.available_for(User.objects.get(pk=other.user.pk))


# ── Begun by staff ───────────────────────────────────────────────────────────────────────────────────────────────────


def delete(admin_ops: ServiceClient, staff_member: Person, person: Person) -> Any:
    body = {"reason": "wrote to privacy@"}
    return admin_ops.post(f"/api/admin/users/{person.user.id}/deletion", body, token=staff_member.token)


def test_staff_delete_an_account_as_its_owner_would(admin_ops, product, customer: Person, staff_member: Person) -> None:
    answer = delete(admin_ops, staff_member, customer)

    deletion = Deletion.objects.pending().get(user=customer.user)
    assert answer.status_code == 202
    assert datetime.fromisoformat(answer.json()["deletion"]["due_at"]) == deletion.due_at
    assert deletion.due_at - deletion.requested_at == timedelta(days=14)
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert log_in(product, customer) == 401
    event = AuditEvent.objects.get(action="user.deletion_begun")
    assert (event.actor, event.target, event.reason) == (staff_member.user.id, customer.user.id, "wrote to privacy@")
    assert (
        "Our support began to delete your account."
        in render_message(Mail.objects.get(template="deletion_requested")).body
    )
    assert keep(product).status_code == 200
    assert log_in(product, customer) == 200


def test_a_banned_account_is_deleted_and_stays_banned_until_then(
    admin_ops, product, customer: Person, staff_member: Person
) -> None:
    ban(admin_ops, staff_member, customer)

    assert delete(admin_ops, staff_member, customer).status_code == 202

    assert User.objects.get(pk=customer.user.pk).status == "disabled"
    erase()
    assert User.objects.get(pk=customer.user.pk).email == f"{customer.user.id}@deleted.invalid"


def test_a_banned_person_who_keeps_the_account_is_still_banned(
    admin_ops, product, customer: Person, staff_member: Person
) -> None:
    ban(admin_ops, staff_member, customer)
    delete(admin_ops, staff_member, customer)

    assert keep(product).status_code == 200
    assert User.objects.get(pk=customer.user.pk).status == "disabled"


def test_an_account_is_deleted_once(admin_ops, customer: Person, leaving: Person, staff_member: Person) -> None:
    again = delete(admin_ops, staff_member, leaving)
    ban(admin_ops, staff_member, leaving)
    banned = delete(admin_ops, staff_member, leaving)

    assert [answer.json()["code"] for answer in (again, banned)] == ["account_deleted"] * 2
    assert not AuditEvent.objects.filter(action="user.deletion_begun").exists()


def test_staff_are_banned_and_not_deleted(admin_ops, staff_member: Person) -> None:
    colleague = user_factories.create_staff_member()

    answer = delete(admin_ops, staff_member, colleague)

    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_delete_staff")
    assert User.objects.get(pk=colleague.user.pk).status == "active"


def test_what_stands_in_the_owners_way_stands_in_that_of_staff(
    admin_ops, product, customer: Person, staff_member: Person
) -> None:
    checkouts.start_checkout(customer.user, plan_id="starter")

    answer = delete(admin_ops, staff_member, customer)

    assert (answer.status_code, answer.json()["code"]) == (409, "still_subscribed")
    assert not Deletion.objects.exists()
    assert product.get("/api/auth/me", token=customer.token).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
@pytest.mark.parametrize("round_number", range(5))
def test_banning_and_undoing_at_once_ends_banned(service, round_number: int) -> None:
    from saas.accounts.privacy import account_deletion
    from saas.accounts.staff import staff_administration

    customer, staff_member = user_factories.create_customer(), user_factories.create_staff_member()
    account_deletion.delete_account(User.objects.get(pk=customer.user.pk))
    token = link_token("deletion_requested")

    run_concurrently(
        lambda: staff_administration.ban_user(customer.user, by=staff_member.user, reason="spam"),
        lambda: account_deletion.cancel_deletion(token),
    )

    assert User.objects.get(pk=customer.user.pk).status == "disabled"
    assert not Deletion.objects.pending().exists()
