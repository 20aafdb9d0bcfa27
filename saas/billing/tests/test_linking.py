"""Who paid by a Payment Link, by hand at Stripe, or before this system was there, gets what they pay for."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing.alarms import AlarmKind, open_alarms
from saas.billing.entitlements import get_limit
from saas.billing.linking import evidence
from saas.billing.linking.customers import CustomerIsLinked, OwnerPaysAlready, link_customer_by_staff
from saas.billing.models import Customer, InvoiceAdjustment, LedgerEntry, PaymentMethod, Price, Subscription, TaxId
from saas.billing.sync import rebuild
from saas.billing.tests.fake_stripe import FakeStripe
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.mail.models import Mail
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fake(settings: Any) -> Iterator[FakeStripe]:
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    with stand_in({}, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        yield here


def tell(type: str, thing: dict[str, Any]) -> None:
    id = f"evt_{WebhookEvent.objects.count()}"
    append_event(whole.event(type, thing, id=id), source=WebhookEvent.Source.DELIVERY)


def pay(email: str = "", reference: str | None = None) -> None:
    """Pay by a Payment Link: Stripe makes the customer."""
    tell("customer.created", whole.customer(email=email))
    session = whole.checkout_session(
        status="complete", payment_status="paid", subscription="sub_1", client_reference_id=reference
    )
    tell("checkout.session.completed", session)
    tell("customer.subscription.created", whole.subscription())
    event_factories.drain()


def confirm_address(person: Person) -> None:
    person.user.email_verified_at = timezone.now()
    person.user.save()


def test_a_payment_link_with_our_id_gives_access(customer: Person) -> None:
    pay("pays@example.org", reference=customer.user.pk)

    assert get_limit(customer.user, "seats") == 25
    assert LedgerEntry.objects.linked().count() == 1
    audited = AuditEvent.objects.get(action="customer.linked")
    assert (audited.target, audited.data["evidence"]) == (customer.user.pk, "client_reference_id")
    assert list(rebuild.rebuild_rows(repair=False)) == []


def test_a_confirmed_address_gives_access(customer: Person) -> None:
    confirm_address(customer)

    pay(customer.user.email.upper())

    assert get_limit(customer.user, "seats") == 25


def test_a_customer_that_only_we_knew_takes_the_place(customer: Person) -> None:
    own = Customer.objects.create(user=customer.user, provider="stripe")

    tell("customer.tax_id.created", whole.tax_id("txi_1"))
    pay(reference=own.pk)

    own.refresh_from_db()
    assert TaxId.objects.get().customer_id == own.pk
    assert (own.external_id, Subscription.objects.get().customer_id) == ("cus_1", own.pk)
    assert Customer.objects.count() == 1


def test_what_stripe_says_takes_no_customer_from_its_account(customer: Person, other: Person) -> None:
    """Metadata at Stripe can name any customer, also that of another account."""
    mine = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    theirs = Customer.objects.create(user=other.user, provider="stripe")

    tell("customer.updated", whole.customer(metadata={"customer_id": theirs.pk}))
    event_factories.drain()

    assert dict(Customer.objects.values_list("pk", "external_id")) == {mine.pk: "cus_1", theirs.pk: ""}


def test_an_address_that_nobody_confirmed_is_an_alarm(customer: Person) -> None:
    type(customer.user).objects.update(email_verified_at=None)

    pay(customer.user.email)

    assert get_limit(customer.user, "seats") == 3
    [alarm] = open_alarms(AlarmKind.PAYS_HAS_NOTHING)
    assert (alarm.external_id, alarm.remedy, alarm.event_id) == ("cus_1", "link-customer", "evt_2")
    assert alarm.reason == f"customer {customer.user.email} pays, and no account has it"
    Subscription.objects.update(status="past_due")
    assert len(list(open_alarms(AlarmKind.PAYS_HAS_NOTHING))) == 1


@pytest.mark.parametrize("fields", [{"status": "disabled"}, {"is_staff": True}])
def test_banned_people_and_staff_are_linked_to_no_customer(customer: Person, fields: dict[str, Any]) -> None:
    confirm_address(customer)
    type(customer.user).objects.filter(pk=customer.user.pk).update(**fields)

    pay(customer.user.email, reference=customer.user.pk)

    assert not Customer.objects.get().is_linked


def test_an_ended_team_and_an_open_checkout_link_no_customer(customer: Person) -> None:
    gone = apps.get_model("teams", "Team").objects.create(name="Gone", owner=customer.user, deleted_at=timezone.now())
    left = whole.checkout_session(id="cs_left", status="open", client_reference_id=customer.user.pk)
    tell("checkout.session.expired", left)

    pay("pays@example.org", reference=gone.pk)

    assert not Customer.objects.get().is_linked


def test_who_confirms_the_address_later_is_linked_then(customer: Person) -> None:
    type(customer.user).objects.update(email_verified_at=None)
    pay(customer.user.email)
    confirm_address(customer)

    assert [evidence.link_waiting_customers(), evidence.link_waiting_customers()] == [1, 0]

    assert get_limit(customer.user, "seats") == 25
    assert list(open_alarms()) == []


def test_many_who_wait_hold_up_nobody(customer: Person) -> None:
    type(customer.user).objects.update(email_verified_at=None)
    pay(customer.user.email)
    confirm_address(customer)
    for first in ("cst_00", "cst_zz"):
        stranger = Customer.objects.create(pk=first, provider="stripe", external_id=f"cus_{first}")
        Subscription.objects.create(external_id=f"sub_{first}", customer=stranger, status="active")

    assert any(evidence.link_waiting_customers(seconds=0) for _ in range(200))  # one customer each time


def test_two_customers_under_one_address_wait_for_staff(customer: Person) -> None:
    confirm_address(customer)
    tell("customer.created", whole.customer(id="cus_2", email=customer.user.email))
    tell("customer.subscription.created", whole.subscription(id="sub_2", customer="cus_2", status="incomplete"))
    tell("customer.created", whole.customer(id="cus_3", email=customer.user.email))
    tell("customer.subscription.created", whole.subscription(id="sub_3", customer="cus_3", status="incomplete"))
    event_factories.drain()
    Subscription.objects.update(status="active")

    assert evidence.link_waiting_customers() == 0
    assert {alarm.external_id for alarm in open_alarms()} == {"cus_2", "cus_3"}


def test_staff_link_a_customer_to_a_user(customer: Person, staff_member: Person) -> None:
    pay("pays@example.org")

    linked = link_customer_by_staff(Customer.objects.get(), owner=customer.user, reason="called", by=staff_member.user)

    assert (linked.user_id, get_limit(customer.user, "seats")) == (customer.user.pk, 25)
    audited = AuditEvent.objects.get(action="customer.linked")
    assert (audited.actor, audited.reason, audited.data["evidence"]) == (staff_member.user.pk, "called", "staff")
    with pytest.raises(CustomerIsLinked):
        link_customer_by_staff(linked, owner=customer.user, reason="again", by=staff_member.user)


def test_staff_link_a_customer_to_a_team(customer: Person, staff_member: Person) -> None:
    team = apps.get_model("teams", "Team").objects.create(name="Crew", owner=customer.user)
    pay("pays@example.org")

    link_customer_by_staff(Customer.objects.get(), owner=team, reason="called", by=staff_member.user)

    assert get_limit(team, "seats") == 25
    assert Subscription.objects.linked().count() == 1


def test_who_pays_twice_is_not_linked(customer: Person, staff_member: Person) -> None:
    own = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_own")
    Subscription.objects.create(external_id="sub_own", customer=own, status="active", plan_id="growth")
    pay(reference=customer.user.pk)
    stub = Customer.objects.get(external_id="cus_1")

    assert not stub.is_linked
    with pytest.raises(OwnerPaysAlready):
        link_customer_by_staff(stub, owner=customer.user, reason="called", by=staff_member.user)


def test_a_customer_without_a_subscription_is_replaced_by_the_one_who_pays(customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_own")

    pay(reference=customer.user.pk)

    assert Customer.objects.for_owner(customer.user).current().get().external_id == "cus_1"


# ── Moving in ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def at_stripe(fake: FakeStripe, customer: Person) -> FakeStripe:
    """Two customers from before: one with the address of an account, one with another."""
    confirm_address(customer)
    known, other = whole.customer(email=customer.user.email), whole.customer(id="cus_2", email="else@example.org")
    fake.answers |= {
        "GET /v1/customers": whole.list_page([known, other], "/v1/customers"),
        "GET /v1/subscriptions": whole.list_page([whole.subscription()], "/v1/subscriptions"),
        "GET /v1/invoices": whole.list_page([], "/v1/invoices"),
    }
    answer = fake.answer

    def by_customer(asked: Any) -> Any:
        status, body = answer(asked)
        if asked.path == "/v1/subscriptions" and asked.fields["customer"] == "cus_2":
            body = {**body, "data": [whole.subscription(id="sub_2", customer="cus_2")]}
        return status, body

    fake.answer = by_customer  # type: ignore[method-assign]
    return fake


def link_stripe(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("link_stripe", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_a_dry_run_lists_who_would_gain_and_changes_nothing(at_stripe: FakeStripe, customer: Person) -> None:
    lines = link_stripe("--dry-run")

    assert lines[0].startswith(f"cus_1 {customer.user.email} -> {customer.user} (verified e-mail): gains api_keys, ")
    assert lines[1] == (
        "cus_2 else@example.org: not linked. No account has confirmed this address, or several customers pay under it."
    )
    assert lines[2] == "1 of 2 customers can be linked"
    assert not Customer.objects.exists()
    assert not WebhookEvent.objects.exists()


def test_customers_from_before_are_linked_once(at_stripe: FakeStripe, customer: Person) -> None:
    assert link_stripe("--yes")[-1] == "1 customers linked"

    assert get_limit(customer.user, "seats") == 25
    assert [alarm.external_id for alarm in open_alarms(AlarmKind.PAYS_HAS_NOTHING)] == ["cus_2"]
    assert link_stripe("--yes")[-1] == "0 of 1 customers can be linked"


def test_a_file_says_whose_a_customer_is(
    at_stripe: FakeStripe, customer: Person, other: Person, tmp_path: Path
) -> None:
    table = tmp_path / "accounts.csv"
    table.write_text(f"cus_2,{other.user.pk}\n", encoding="utf-8")

    assert link_stripe(str(table), "--yes")[-1] == "2 customers linked"

    assert get_limit(other.user, "seats") == 25


@pytest.mark.parametrize("line", ["cus_2", "cus_2,", "cus_2,a,b"])
def test_a_line_that_is_no_pair_stops_before_anything(at_stripe: FakeStripe, tmp_path: Path, line: str) -> None:
    table = tmp_path / "accounts.csv"
    table.write_text(f"{line}\n", encoding="utf-8")

    with pytest.raises(CommandError, match="line 1"):
        link_stripe(str(table), "--yes")
    assert at_stripe.asked == []


# ── Thin events ──────────────────────────────────────────────────────────────────────────────────────────────────────


def thin(type: str, related: dict[str, str] | None, **fields: Any) -> WebhookEvent:
    payload = {
        "id": "evt_thin", "object": "v2.core.event", "type": type, "livemode": False,
        "created": "2026-09-21T13:33:20.000Z", "related_object": related, **fields,
    }  # fmt: skip
    append_event(payload, source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
    return WebhookEvent.objects.get(external_id="evt_thin")


SUB_1 = {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"}


@pytest.mark.parametrize(
    "type",
    [
        "customer.subscription.updated",
        "v1.customer.subscription.updated",  # as Stripe calls them
        "v1.customer.subscription.item_price_changed",
    ],
)
def test_the_object_of_a_thin_event_is_fetched_and_handled(fake: FakeStripe, type: str) -> None:
    fake.answers["GET /v1/subscriptions/sub_1"] = whole.subscription()

    event = thin(type, SUB_1)

    assert event.status == "processed"
    assert Subscription.objects.get().status == "active"


def test_a_thin_event_that_cannot_be_fetched_is_ignored_with_the_reason(fake: FakeStripe) -> None:
    event = thin("customer.discount.updated", {"id": "di_1", "type": "discount", "url": "/v1/discounts/di_1"})

    assert event.status == "ignored"
    assert "names its object only" in event.last_error


@pytest.mark.parametrize(
    ("type", "id", "kind"),
    [
        ("v1.customer.cash_balance_transaction.created", "ccsbtxn_1", "customer_cash_balance_transaction"),
        ("v1.customer.source.created", "src_1", "source"),
        ("v1.charge.expired", "ch_1", "charge"),
    ],
)
def test_nobody_is_asked_about_a_thin_event_that_nothing_handles(
    fake: FakeStripe, type: str, id: str, kind: str
) -> None:
    event = thin(type, {"id": id, "type": kind, "url": ""})

    assert (event.status, event.last_error, fake.asked) == ("ignored", "no handler", [])


def test_a_tax_id_that_a_thin_event_names_is_fetched(fake: FakeStripe, customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    fake.answers["GET /v1/tax_ids/txi_1"] = whole.tax_id("txi_1")

    event = thin("v1.customer.tax_id.created", {"id": "txi_1", "type": "tax_id", "url": "/v1/tax_ids/txi_1"})

    assert event.status == "processed"
    assert TaxId.objects.get().external_id == "txi_1"


def test_a_thin_event_about_money_is_told_like_any_other(fake: FakeStripe, customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    fake.answers["GET /v1/invoices/in_1"] = whole.invoice(7900, status="open", amount_paid=0)

    event = thin("v1.invoice.payment_failed", {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"})

    assert event.status == "processed"
    assert Mail.objects.filter(template="payment_failed").count() == 1


@pytest.mark.parametrize(
    ("kind", "path", "thing"),
    [
        ("refund", "refunds/re_1", whole.refund(500)),
        ("dispute", "disputes/du_1", whole.dispute(500)),
        ("credit_note", "credit_notes/cn_1", whole.credit_note(500)),
        ("radar.early_fraud_warning", "radar/early_fraud_warnings/issfr_1", whole.early_fraud_warning()),
    ],
)
def test_a_thin_event_about_money_given_back_is_handled(
    fake: FakeStripe, kind: str, path: str, thing: dict[str, Any]
) -> None:
    fake.answers[f"GET /v1/{path}"] = thing
    prefix = "charge.dispute" if kind == "dispute" else kind

    event = thin(f"v1.{prefix}.created", {"id": thing["id"], "type": kind, "url": f"/v1/{path}"})

    assert (event.status, event.attention) == ("processed", "")
    assert InvoiceAdjustment.objects.get().external_id == thing["id"]


def test_a_card_that_a_thin_event_detaches_is_no_longer_shown(fake: FakeStripe, customer: Person) -> None:
    append_event(whole.event("payment_method.attached", whole.payment_method()), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
    card = PaymentMethod.objects.usable().get()
    fake.answers[f"GET /v1/payment_methods/{card.external_id}"] = whole.payment_method(customer=None)

    thin("v1.payment_method.detached", {"id": card.external_id, "type": "payment_method", "url": ""})

    assert not PaymentMethod.objects.usable().exists()


def test_a_thin_event_of_what_is_gone_is_ignored_with_the_reason(fake: FakeStripe) -> None:
    event = thin("v1.product.deleted", {"id": "prod_1", "type": "product", "url": "/v1/products/prod_1"})

    assert (event.status, event.last_error) == ("ignored", "Ignore: The event names its object only, and it is gone.")


def test_a_thin_event_whose_object_is_refused_is_tried_again(fake: FakeStripe) -> None:
    event = thin("v1.product.updated", {"id": "prod_1", "type": "product", "url": "/v1/products/prod_1"})

    assert event.status == "retry_scheduled"


def test_a_thin_event_of_another_account_asks_nobody(fake: FakeStripe) -> None:
    event = thin("v1.customer.subscription.updated", SUB_1, context="acct_connected")

    assert (event.status, event.last_error, fake.asked) == ("ignored", "another account", [])


def test_a_thin_event_without_an_object_is_ignored(fake: FakeStripe) -> None:
    event = thin("v1.invoice.upcoming", None)

    assert (event.status, event.last_error, fake.asked) == ("ignored", "no object", [])


# ── What came before the link ────────────────────────────────────────────────────────────────────────────────────────


def tell_paid(days: int) -> None:
    paid_at = int(timezone.now().timestamp()) - days * 86_400
    transitions = {"finalized_at": paid_at, "marked_uncollectible_at": None, "paid_at": paid_at, "voided_at": None}
    tell("invoice.paid", whole.invoice(7900, status="paid", amount_paid=7900, status_transitions=transitions))
    event_factories.drain()
    assert not Mail.objects.filter(template="receipt").exists()


@pytest.mark.parametrize(("days", "receipts"), [(0, 1), (4, 0)])
def test_who_is_linked_after_the_payment_gets_its_receipt(customer: Person, days: int, receipts: int) -> None:
    tell_paid(days)

    pay("pays@example.org", reference=customer.user.pk)

    assert Mail.objects.filter(template="receipt", recipient=customer.user.email).count() == receipts


def test_who_is_linked_by_staff_gets_the_receipt_too(customer: Person, staff_member: Person) -> None:
    tell_paid(0)

    link_customer_by_staff(Customer.objects.get(), owner=customer.user, reason="Has written", by=staff_member.user)

    assert Mail.objects.filter(template="receipt", recipient=customer.user.email).count() == 1


@pytest.mark.parametrize("gone", ["deleted_at", "replaced_at"])
def test_cards_of_a_customer_who_is_gone_are_not_shown(customer: Person, gone: str) -> None:
    mine = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    PaymentMethod.objects.create(customer=mine, external_id="pm_1", type="card", last4="4242")
    assert PaymentMethod.objects.for_owner(customer.user).usable().count() == 1

    Customer.objects.update(**{gone: timezone.now()})

    assert not PaymentMethod.objects.for_owner(customer.user).usable().exists()


def test_a_customer_who_stands_twice_in_the_file_stops_before_anything(at_stripe: FakeStripe, tmp_path: Path) -> None:
    table = tmp_path / "accounts.csv"
    table.write_text("cus_1;ann@example.org\n\n;\ncus_1;bea@example.org\n", encoding="utf-8-sig")

    with pytest.raises(CommandError, match="line 4: cus_1 stands in an earlier line"):
        link_stripe(str(table), "--yes")
    assert at_stripe.asked == []
