"""After an erasure no table holds a value that the person ever gave, whichever way it came in (T89)."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection, transaction

from saas.accounts.models import Deletion, LoginSession, User
from saas.accounts.oauth import identities
from saas.accounts.oauth.providers import Identity
from saas.accounts.privacy import data_sources, erasure
from saas.accounts.privacy.personal_values import PersonalValues
from saas.audit import hash_chain
from saas.audit.models import AuditEvent, AuditPersonalData
from saas.audit.tests.test_hash_chain import verify
from saas.billing import checkouts, payment_methods, subscriptions
from saas.billing.invoices.billed_to import save_billing_details
from saas.billing.models import Customer, Invoice, LedgerEntry, PaymentMethod
from saas.billing.sync.rebuild import rebuild_rows
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.teams import invitations
from saas.teams.models import Team
from saas.teams.roles import Role
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories import user_factories
from saas.testing.factories.event_factories import drain, json_bytes, signature_headers
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.mails import link_token
from saas.webhook_events.models import WebhookEvent, WebhookPayload

EMAIL = "Adalgisa.Quellenbrunn@mailbox.example"
EARLIER = "adalgisa.earlier@mailbox.example"
UNCONFIRMED = "adalgisa.unproved@mailbox.example"
NAME = "Adalgisa Quellenbrünn"
AGENT = "QuellenbrunnBrowser/7.1"
ADDRESS = "198.51.100.77"
AT_PROVIDER = {
    "email": EMAIL.upper(),
    "name": "A. Q. Rosenholz",
    "phone": "+49 151 0070707",
    "address": {"line1": "Rosenholzgasse 17", "city": "Quellstadt", "postal_code": "70707", "country": "DE"},
}
VALUES = [
    *("quellenbrunn", "adalgisa.earlier", "adalgisa.unproved", "quellenbrünn", AGENT.lower(), ADDRESS),
    *("rosenholz", "quellstadt", "0070707", "70707", "ticket-of-adalgisa", "biography-of-adalgisa"),
    *("steuergasse", "de136695976"),
]


def later(by: timedelta) -> Any:
    return time_machine.travel(datetime.now(UTC) + by, tick=False)


def erase() -> None:
    with later(timedelta(days=14, seconds=1)):
        assert erasure.erase_due_accounts() == 1


def deliver(webhooks: Any, *events: dict[str, Any]) -> None:
    for event in events:
        body = json_bytes({**event, "livemode": settings.STRIPE_LIVEMODE})
        answer = webhooks.send("POST", "/api/webhooks/stripe", raw=body, headers=signature_headers(body))
        assert answer.status_code == 202
    drain()


def provider_events(customer_id: str, reference: str, version: str) -> list[dict[str, Any]]:
    """What a provider sends about a customer, with the person's values wherever Stripe has them."""
    mark = f"{customer_id}_{version.partition('.')[0].replace('-', '')}"
    owner = whole.customer(id=customer_id, metadata={"customer_id": reference, "typed": EMAIL}, **AT_PROVIDER)
    method = whole.payment_method(id=f"pm_{mark}", customer=customer_id, billing_details=AT_PROVIDER)
    invoice = whole.invoice(
        version=version, id=f"in_{mark}", customer=customer_id, customer_email=EMAIL, customer_name=AT_PROVIDER["name"],
        customer_address=AT_PROVIDER["address"], description=f"For {NAME}", status="paid",
    )  # fmt: skip
    session = whole.checkout_session(
        id=f"cs_{mark}", customer=customer_id, customer_details=AT_PROVIDER,
        success_url=f"https://shop.example/?email={EMAIL.replace('@', '%40')}",
    )  # fmt: skip
    things = [
        ("customer.updated", owner, {"previous_attributes": {"email": EARLIER, "name": NAME}}),
        ("payment_method.attached", method, {}),
        ("invoice.paid", invoice, {}),
        ("checkout.session.completed", session, {}),
    ]
    return [
        whole.event(type, thing, id=f"evt_{mark}_{number}", version=version, **data)
        for number, (type, thing, data) in enumerate(things)
    ]


def dump() -> Iterator[tuple[str, str]]:
    """Every value of every column of every table, as lower-case text, with table and column."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    yield f"{table}.{column}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text.lower())
    return unescaped.replace("%40", "@").replace("=40", "@")


def found_in_dump() -> set[tuple[str, str]]:
    return {(place, value) for place, text in dump() for value in VALUES if value in text}


@pytest.fixture
def adalgisa(product, webhooks, admin_ops, staff_member: Person, other: Person) -> Person:
    """A person whose values came in through every door, and who has asked to be deleted."""
    headers = {"User-Agent": AGENT, "X-Forwarded-For": ADDRESS}
    product.defaults["REMOTE_ADDR"] = ADDRESS
    person = user_factories.create_customer(EARLIER, NAME)
    product.post("/api/auth/email/verify", {"token": link_token("welcome")})
    session = product.post("/api/auth/login", {"email": EARLIER, "password": PASSWORD}, headers=headers).json()
    token = session["access_token"]
    product.post("/api/auth/email/change", {"new_email": EMAIL}, token=token, headers=headers)
    product.post("/api/auth/email/verify", {"token": link_token("confirm_new_email")})
    token = product.post("/api/auth/login", {"email": EMAIL, "password": PASSWORD}, headers=headers).json()[
        "access_token"
    ]
    product.patch("/api/users/profile", {"display_name": NAME, "biography": "biography-of-adalgisa"}, token=token)
    product.post("/api/auth/email/change", {"new_email": UNCONFIRMED}, token=token, headers=headers)
    product.post("/api/auth/password/forgot", {"email": EARLIER.upper()}, headers=headers)
    product.post("/api/auth/login", {"email": EARLIER, "password": "wrong"}, headers=headers)
    user = User.objects.get(pk=person.user.pk)
    identities.link_identity(
        Identity("oidc", "https://id.example", "adalgisa", EMAIL, True, NAME),
        session=LoginSession.objects.filter(user=user, revoked_at=None).latest("created_at"),
    )
    person = Person(user, token, "", "", "")
    alone = create_team(person, f"Team of {NAME}")
    create_api_key(alone, person)
    shared = create_team(with_verified_email(other), f"Friends of {NAME}")
    add_member(shared, Role.ADMIN, person)
    invitations.invite(actor_for(alone, person), email="friend@example.net", role=Role.MEMBER)
    third = with_verified_email(user_factories.create_customer("third@example.net", "Toni Third"))
    invitations.invite(actor_for(create_team(third, "Elsewhere"), third), email=EMAIL, role=Role.MEMBER)
    for owner in (user, alone):
        address = {"line1": "Steuergasse 9", "country": "DE"}
        save_billing_details(owner, by=user, tax_id_kind="eu_vat", tax_id="DE136695976", **address)
    checkouts.start_checkout(user, plan_id="starter")
    payment_methods.add_payment_method(user, type="card", provider="visa", last4="4242")
    subscriptions.cancel_subscription(user, at_period_end=False, reason=f"says {EMAIL}", by=user)
    ours = Customer.objects.get(user=user)
    for version in (whole.CURRENT, whole.LEGACY):
        deliver(webhooks, *provider_events(ours.external_id, ours.pk, version))
        deliver(webhooks, *provider_events("cus_stub", "", version))
    raw = f"no event, but from {EMAIL}".encode()
    webhooks.send("POST", "/api/webhooks/stripe", raw=raw, headers=signature_headers(raw))
    queue_mail("welcome", to="staff@example.net", context={"name": f"{NAME} <{EMAIL}>"}, dedupe_key="quotes")
    support = {"token": staff_member.token}
    path = f"/api/admin/users/{user.pk}"
    admin_ops.post(f"{path}/notes", {"text": f"ticket-of-adalgisa, {NAME}"}, **support)
    admin_ops.post(f"/api/admin/users/{other.user.pk}/notes", {"text": f"Same person as {EMAIL.lower()}?"}, **support)
    admin_ops.post(f"{path}/impersonate", {"reason": f"ticket-of-adalgisa {EMAIL}"}, **support)
    of_other = {"reason": f"Asks for {NAME}", "ticket": f"ticket-of-adalgisa {EMAIL}"}
    admin_ops.post(f"/api/admin/users/{other.user.pk}/impersonate", of_other, **support)
    admin_ops.post(f"{path}/ban", {"reason": "ticket-of-adalgisa"}, **support)
    admin_ops.post(f"{path}/unban", {"reason": "ticket-of-adalgisa"}, **support)
    admin_ops.post(f"/api/admin/users/{other.user.pk}/ban", {"reason": f"insulted {NAME}"}, **support)
    token = product.post("/api/auth/login", {"email": EMAIL, "password": PASSWORD}, headers=headers).json()[
        "access_token"
    ]
    assert product.delete("/api/users/me", token=token, headers=headers).status_code == 202
    hash_chain.extend_chain()
    return person


def test_every_value_was_there_before(adalgisa: Person) -> None:
    assert {value for _, value in found_in_dump()} == set(VALUES)


def test_a_dump_of_all_tables_holds_no_value_of_the_person(adalgisa: Person) -> None:
    erase()

    assert found_in_dump() == set()


def test_rows_are_still_what_their_events_say(adalgisa: Person) -> None:
    before = list(rebuild_rows(repair=False))
    kept = (Invoice.objects.count(), LedgerEntry.objects.count())

    erase()

    assert before == list(rebuild_rows(repair=False)) == []
    assert (Invoice.objects.count(), LedgerEntry.objects.count()) == kept
    assert min(kept) > 0


def test_what_was_sealed_stays_provable(adalgisa: Person) -> None:
    erase()

    assert verify()[0] == 0


def test_a_payload_that_was_redacted_says_so_and_keeps_its_hash(adalgisa: Person) -> None:
    event = WebhookEvent.objects.get(
        external_id__startswith="evt_cus_stub", type="invoice.paid", api_version=whole.CURRENT
    )
    hashed = event.body_sha256

    erase()

    body = json.loads(bytes(WebhookPayload.objects.get(event=event).body))
    assert body["erased"] is True
    assert (body["data"]["object"]["customer_email"], body["data"]["object"]["total"]) == (None, 7900)
    event.refresh_from_db()
    assert event.body_sha256 == hashed


def test_other_people_keep_what_is_theirs(adalgisa: Person, other: Person, staff_member: Person) -> None:
    payer = Customer.objects.create(user=other.user, provider="stripe", external_id="cus_o", email=adalgisa.user.email)
    PaymentMethod.objects.create(customer=payer, external_id="pm_o", last4="1881")

    erase()

    assert PaymentMethod.objects.get(external_id="pm_o").last4 == "1881"  # though its customer has her address
    assert User.objects.get(pk=other.user.pk).email == other.user.email
    assert Team.objects.get(owner=other.user).name == "[erased]"
    assert Team.objects.filter(name="Elsewhere").exists()
    assert Mail.objects.get(template="team_invitation").context == {"team": "[erased]", "inviter": "[erased]"}
    assert [note.text for note in other.user.notes.all()] == ["[erased]"]
    staff = AuditPersonalData.objects.filter(event__actor=staff_member.user.pk, event__target=adalgisa.user.pk)
    assert {row.address for row in staff} == {"127.0.0.1"}
    assert {event.reason for event in AuditEvent.objects.involving(adalgisa.user.pk)} == {""}


def test_a_team_of_others_keeps_a_name_that_holds_the_persons_letters(product, other: Person) -> None:
    person = user_factories.create_customer("an@example.net", "An Li")
    team = create_team(with_verified_email(other), "Urban Life")
    assert product.delete("/api/users/me", token=person.token).status_code == 202

    erase()

    team.refresh_from_db()
    assert team.name == "Urban Life"


def test_an_erasure_that_fails_holds_up_no_others(product, customer: Person, other: Person, monkeypatch) -> None:
    def erase_badly(user: User, values: PersonalValues) -> None:
        if user == customer.user:
            raise DatabaseError("statement timeout")

    broken = data_sources.PersonalDataSource(User, (), "broken", data_sources.Exempt("-"), erase_badly)
    monkeypatch.setattr(data_sources, "_sources", [*data_sources._sources, broken])
    for person in (customer, other):
        product.delete("/api/users/me", token=person.token)

    erase()
    monkeypatch.undo()

    assert User.objects.get(pk=customer.user.pk).email == customer.user.email
    assert User.objects.get(pk=other.user.pk).email == f"{other.user.pk}@deleted.invalid"
    with later(timedelta(days=15, minutes=1)):
        assert erasure.erase_due_accounts() == 1
    assert User.objects.get(pk=customer.user.pk).email == f"{customer.user.pk}@deleted.invalid"


@pytest.mark.parametrize("is_pending", [False, True])
def test_who_comes_back_with_a_restored_backup_is_erased_again(
    product, customer: Person, other: Person, staff_member: Person, is_pending: bool
) -> None:
    """A backup from before the deletion was asked for, or from before the erasure."""
    out = StringIO()
    if is_pending:
        Deletion.objects.create(user=customer.user, due_at=datetime.now(UTC) + timedelta(days=14))

    call_command("erase_again", customer.user.pk, "usr_unknown", staff_member.user.pk, stdout=out)
    call_command("erase_again", customer.user.pk, stdout=out)

    row = User.objects.get(pk=customer.user.pk)
    assert (row.email, row.status) == (f"{row.pk}@deleted.invalid", "deleted")
    assert product.get("/api/auth/me", token=customer.token).status_code == 401
    assert User.objects.get(pk=other.user.pk).email == other.user.email
    assert AuditEvent.objects.filter(action="user.erased", target=row.pk).count() == 1
    assert out.getvalue().splitlines() == [
        f"{row.pk}: erased",
        "usr_unknown: nothing to erase",
        f"{staff_member.user.pk}: nothing to erase",
        f"{row.pk}: nothing to erase",
    ]


def test_one_who_pays_is_named_and_not_erased_again(customer: Person) -> None:
    checkouts.start_checkout(customer.user, plan_id="starter")
    out = StringIO()

    with pytest.raises(CommandError, match="1 of 1 could not be erased"):
        call_command("erase_again", customer.user.pk, stdout=out)

    assert out.getvalue().strip() == f"{customer.user.pk}: Cancel your subscription first, at once or with its period."
    assert User.objects.get(pk=customer.user.pk).email == customer.user.email
    assert not Deletion.objects.exists()


def test_the_log_names_who_was_erased_and_nobody_else(
    product, customer: Person, other: Person, caplog, django_capture_on_commit_callbacks
) -> None:
    """One registration was reported by the owner of its mailbox, one erasure is rolled back."""
    stranger = user_factories.create_customer("owner@example.org")
    product.delete("/api/users/me", token=customer.token)

    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        erase()
        product.post("/api/auth/email/disown", {"token": link_token("welcome")})
        with transaction.atomic():
            data_sources.erase_personal_data(other.user, action="user.erased")
            transaction.set_rollback(True)

    named = [record.user for record in caplog.records if record.message == "account_erased"]
    assert named == [customer.user.pk, stranger.user.pk]


def test_an_erasure_that_the_database_broke_off_is_tried_again_in_minutes(
    product, customer: Person, monkeypatch
) -> None:
    def break_off(user: User, **values: Any) -> None:
        raise OperationalError("deadlock detected")

    product.delete("/api/users/me", token=customer.token)
    monkeypatch.setattr(data_sources, "erase_personal_data", break_off)
    with later(timedelta(days=14, seconds=1)):
        assert erasure.erase_due_accounts() == 0
    monkeypatch.undo()

    with later(timedelta(days=14, minutes=10)):
        assert erasure.erase_due_accounts() == 1


def test_an_address_that_is_another_accounts_by_now_is_not_the_persons(
    product, customer: Person, other: Person
) -> None:
    token = product.post("/api/auth/email/change", {"new_email": "wanted@example.net"}, token=customer.token)
    assert token.status_code == 202
    taken = user_factories.create_customer("wanted@example.net")

    assert PersonalValues.of_user(customer.user).emails == {customer.user.email}
    assert PersonalValues.of_user(taken.user).emails == {"wanted@example.net"}


def test_the_export_lists_what_an_erasure_leaves_and_why(product, customer: Person) -> None:
    kept = product.get("/api/users/export", token=customer.token).json()["kept_after_deletion"]

    assert kept["invoices"] == "It belongs to the accounting records, which are kept as long as the law requires."
    assert "until they are retired" in kept["security_log"]
