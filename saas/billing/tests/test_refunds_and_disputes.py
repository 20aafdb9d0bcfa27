"""What happens to an invoice's money after it was paid, and the mails about it."""

import time
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.audit.models import AuditEvent
from saas.billing.alarms import AlarmKind, open_alarms
from saas.billing.checkouts import start_checkout
from saas.billing.entitlements import get_limit
from saas.billing.invoices import customer_mails, refunds
from saas.billing.invoices.refunds import NothingToRefund, PaymentDisputed
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, LocalObject, PaymentMethod, Price, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers import IdempotencyMismatch, ProviderFailed, ProviderRefused, ProviderUnavailable
from saas.billing.providers.local import test_clock
from saas.billing.providers.local.gateway import LocalGateway
from saas.billing.subscriptions import cancel_by_staff
from saas.billing.sync import rebuild
from saas.billing.tests.fake_stripe import BROKEN, FakeStripe
from saas.billing.tests.stripe_params import faults
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.billing.tests.test_checkouts import team_of
from saas.errors import Invalid
from saas.mail.models import Mail
from saas.money import Money
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.stripe_event_factories import receive_event
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

PAID = whole.invoice(7900, status="paid", amount_paid=7900)
PAYMENT = whole.invoice_payment()
SHOWN = {"GET /v1/invoices/in_1": {**PAID, "payments": whole.list_page([PAYMENT], "/v1/invoices/in_1/payments")}}


@pytest.fixture
def payer(customer: Person, settings: Any) -> Person:
    settings.BILLING_NOTIFY_EMAIL = "money@example.net"
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    receive_event("customer.subscription.created", whole.subscription())
    return customer


def mails(*, to_staff: bool = False) -> list[str]:
    rows = (
        Mail.objects.filter(recipient="money@example.net")
        if to_staff
        else Mail.objects.exclude(recipient="money@example.net")
    )
    sent = rows.exclude(template="welcome").exclude(template="verify_email").order_by("pk")
    return [row.context["what"] if to_staff else row.template for row in sent]


def invoice() -> Invoice:
    return Invoice.objects.get()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
def test_a_partial_refund_is_taken_off_its_invoice_in_any_order(payer: Person, order: tuple[int, ...]) -> None:
    events = [("invoice.paid", PAID), ("invoice_payment.paid", PAYMENT), ("refund.created", whole.refund(1900))]

    for number in order:
        receive_event(*events[number])

    assert (invoice().returned_cents, str(invoice().net_paid), invoice().status) == (1900, "60.00 USD", "paid")
    row = InvoiceAdjustment.objects.get()
    assert (row.kind, row.status, row.invoice, row.customer) == ("refund", "succeeded", invoice(), invoice().customer)
    assert mails() == ["receipt", "payment_refunded"]
    assert mails(to_staff=True) == ["A payment was refunded: re_1"]
    assert get_limit(payer.user, "seats") == 25
    assert list(rebuild.rebuild_rows(repair=False)) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_a_payment_that_comes_long_before_its_invoice_is_kept(payer: Person, order: tuple[int, ...]) -> None:
    """After an outage Stripe delivers again for three days, in any order."""
    events = [("invoice_payment.paid", PAYMENT), ("invoice.paid", PAID), ("refund.created", whole.refund(1900))]

    for number in order:
        receive_event(*events[number])

    assert (invoice().payment_intent_id, invoice().returned_cents, invoice().status) == ("pi_1", 1900, "paid")
    assert InvoiceAdjustment.objects.get().customer == invoice().customer == Customer.objects.get()
    assert sorted(mails()) == ["payment_refunded", "receipt"]
    assert Mail.objects.get(template="payment_refunded").context["number"] == invoice().number
    assert list(rebuild.rebuild_rows(repair=False)) == []


def test_a_payment_whose_invoice_never_comes_is_shown_to_nobody(payer: Person) -> None:
    receive_event("invoice_payment.paid", PAYMENT)

    assert not Invoice.objects.issued().exists()
    assert not list(open_alarms())
    assert list(rebuild.rebuild_rows(repair=False)) == []


def test_a_refund_that_failed_is_taken_back(payer: Person) -> None:
    for type, thing in [
        ("invoice.paid", PAID),
        ("invoice_payment.paid", PAYMENT),
        ("refund.created", whole.refund(1900)),
    ]:
        receive_event(type, thing)

    receive_event("refund.failed", whole.refund(1900, status="failed"), later=60)

    assert invoice().returned_cents == 0


def test_two_refunds_and_more_than_was_paid_leave_nothing(payer: Person) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    receive_event("refund.created", whole.refund(4000))
    receive_event("refund.created", whole.refund(4000, id="re_2"))

    assert invoice().net_paid.minor == 0


def test_a_legacy_charge_names_its_invoice(payer: Person) -> None:
    receive_event(
        "invoice.paid", {**whole.invoice(7900, version=whole.LEGACY, status="paid", amount_paid=7900), "charge": "ch_1"}
    )
    receive_event("refund.created", whole.refund(1900, payment_intent=None))

    assert invoice().returned_cents == 1900


def test_a_refund_before_the_news_of_the_payment_is_taken_off(payer: Person) -> None:
    receive_event("invoice.finalized", whole.invoice(7900, status="open", amount_paid=0))
    receive_event("invoice_payment.paid", PAYMENT)
    receive_event("refund.created", whole.refund(1900), later=120)

    receive_event("invoice.paid", PAID, later=60)

    assert invoice().returned_cents == 1900
    assert list(rebuild.rebuild_rows(repair=False)) == []


OLD_INVOICE = {**whole.invoice(7900, version=whole.LEGACY, status="paid", amount_paid=7900), "charge": "ch_1"}


def old_charge(*refunds: dict[str, Any]) -> dict[str, Any]:
    """As API versions before 2022-11-15 show it, with its refunds."""
    return {
        "id": "ch_1", "object": "charge", "amount": 7900, "currency": "usd", "customer": "cus_1", "invoice": "in_1",
        "payment_intent": "pi_1", "livemode": False, "amount_refunded": sum(row["amount"] for row in refunds),
        "refunds": whole.list_page(list(refunds), "/v1/charges/ch_1/refunds"),
    }  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_refunds_that_an_old_charge_shows_are_taken_off(payer: Person, order: tuple[int, ...]) -> None:
    first, second = whole.refund(1900), whole.refund(1000, id="re_2")
    events = [
        ("invoice.paid", OLD_INVOICE, 0),
        ("charge.refunded", old_charge(first), 60),
        ("charge.refunded", old_charge(first, second), 120),
    ]

    for number in order:
        type, thing, later = events[number]
        receive_event(type, thing, later=later)

    assert invoice().returned_cents == 2900
    assert set(InvoiceAdjustment.objects.values_list("external_id", flat=True)) == {"re_1", "re_2"}
    assert mails().count("payment_refunded") == 2
    assert list(rebuild.rebuild_rows(repair=False)) == []


def test_a_refund_that_an_old_charge_shows_as_failed_is_taken_back(payer: Person) -> None:
    receive_event("invoice.paid", OLD_INVOICE)
    receive_event("charge.refunded", old_charge(whole.refund(1900)), later=60)
    assert invoice().returned_cents == 1900

    receive_event("charge.updated", old_charge(whole.refund(1900, status="failed")), later=120)

    assert invoice().returned_cents == 0


def test_a_refund_is_told_once_however_many_events_report_it(payer: Person) -> None:
    receive_event("invoice.paid", OLD_INVOICE)

    receive_event("refund.created", whole.refund(1900))
    receive_event("charge.refunded", old_charge(whole.refund(1900)))
    receive_event("refund.updated", whole.refund(1900), later=60)
    receive_event("charge.refund.updated", whole.refund(1900), later=60)

    assert invoice().returned_cents == 1900
    assert mails(to_staff=True) == ["A payment was refunded: re_1"]


def test_the_refund_that_a_new_charge_does_not_show_is_asked_for(payer: Person, settings: Any) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    shown = {name: value for name, value in old_charge(whole.refund(1900)).items() if name != "invoice"}
    with stand_in({"GET /v1/charges/ch_1": shown}, StandIn) as here:
        bill_through_stripe(settings, here.url)
        for _ in range(2):  # the second time it is known
            receive_event("charge.refunded", {name: value for name, value in shown.items() if name != "refunds"})

    assert len(here.asked) == 1
    assert invoice().returned_cents == 1900
    assert here.asked[0].fields == {"expand[0]": "refunds"}


@pytest.mark.parametrize(
    ("fields", "returned"),
    [
        ({"type": "post_payment"}, 1500),
        ({"type": "post_payment", "refunds": [{"refund": "re_1", "amount_refunded": 1500}]}, 0),  # the refund's own row
        ({"type": "pre_payment"}, 0),  # in what was due already
        ({"type": "post_payment", "status": "void"}, 0),
        ({"type": "post_payment", "refunds": [{"refund": "re_1", "amount_refunded": 1000}]}, 500),  # credited
        ({"type": "mixed", "post_payment_amount": 600, "pre_payment_amount": 900}, 600),
        (
            {"type": "post_payment", "refund": "re_1", "out_of_band_amount": 200, "customer_balance_transaction": None},
            200,
        ),
    ],
)
def test_a_credit_note_is_taken_off_once(payer: Person, fields: dict[str, Any], returned: int) -> None:
    receive_event("invoice.paid", PAID)

    receive_event("credit_note.created", whole.credit_note(1500, **fields))

    assert invoice().returned_cents == returned


def test_a_credit_note_that_comes_before_its_invoice_is_taken_off(payer: Person) -> None:
    receive_event("credit_note.created", whole.credit_note(1900, type="post_payment"))
    receive_event("invoice.paid", PAID)

    assert (InvoiceAdjustment.objects.get().invoice, invoice().returned_cents) == (invoice(), 1900)
    assert list(rebuild.rebuild_rows(repair=False)) == []


@pytest.mark.parametrize(("status", "returned"), [("won", 0), ("lost", 7900), ("warning_closed", 0)])
def test_a_dispute_is_an_alarm_until_it_is_decided(payer: Person, status: str, returned: int) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    receive_event("charge.dispute.created", whole.dispute(7900))
    [alarm] = open_alarms(AlarmKind.OPEN_DISPUTE)
    assert alarm.reason == "79.00 USD are disputed: fraudulent (needs_response)"
    assert (invoice().returned_cents, get_limit(payer.user, "seats")) == (0, 25)

    receive_event("charge.dispute.closed", whole.dispute(7900, status=status), later=60)
    receive_event("charge.dispute.updated", whole.dispute(7900, status="under_review"), later=120)  # comes late

    assert (invoice().returned_cents, list(open_alarms(AlarmKind.OPEN_DISPUTE))) == (returned, [])
    assert mails(to_staff=True)[:2] == ["A dispute is open: du_1", f"A dispute was {status}: du_1"]
    assert get_limit(payer.user, "seats") == 25


def test_a_warning_of_fraud_is_an_alarm_until_the_refund(payer: Person) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    receive_event("radar.early_fraud_warning.created", whole.early_fraud_warning(created=int(time.time())))
    [alarm] = open_alarms(AlarmKind.FRAUD_WARNING)
    assert (alarm.reason, alarm.remedy) == ("the bank warns of fraud: made_with_stolen_card", "refund")

    receive_event("refund.created", whole.refund(7900, charge="ch_1", status="pending"))
    assert list(open_alarms(AlarmKind.FRAUD_WARNING)) == []
    receive_event("refund.failed", whole.refund(7900, charge="ch_1", status="failed"), later=60)
    assert len(list(open_alarms(AlarmKind.FRAUD_WARNING))) == 1  # we have the money again
    receive_event("refund.created", whole.refund(7900, charge="ch_1", id="re_2"))

    assert list(open_alarms(AlarmKind.FRAUD_WARNING)) == []
    with time_machine.travel(timezone.now() + timedelta(days=121)):
        InvoiceAdjustment.objects.filter(kind="refund").delete()
        assert list(open_alarms(AlarmKind.FRAUD_WARNING)) == []  # a dispute is not to be expected any more


def test_a_key_that_may_not_read_charges_fails_no_event(payer: Person, settings: Any) -> None:
    receive_event("invoice.paid", PAID)
    forbidden = (403, {"error": {"type": "invalid_request_error", "message": "The key does not have access."}})
    with stand_in({"GET /v1/charges/ch_1": [forbidden]}, StandIn) as here:
        bill_through_stripe(settings, here.url)
        receive_event("charge.refunded", {**old_charge(), "amount_refunded": 1900})

    assert WebhookEvent.objects.get(type="charge.refunded").status == "processed"
    assert [asked.path for asked in here.asked] == ["/v1/charges/ch_1"]


# ── Mails ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("type", "template"),
    [("invoice.payment_failed", "payment_failed"), ("invoice.payment_action_required", "payment_action_required")],
)
def test_who_must_act_gets_the_link_to_the_invoice(payer: Person, type: str, template: str) -> None:
    receive_event(type, whole.invoice(7900))
    receive_event(type, whole.invoice(7900), later=60)

    mail = Mail.objects.get(template=template)
    assert (mail.recipient, mail.context["amount"]) == (payer.user.email, "79.00 USD")
    assert mail.context["link"] == "https://invoice.stripe.com/i/whole"


def test_an_invoice_that_is_paid_in_part_asks_for_the_rest(payer: Person) -> None:
    receive_event("invoice.payment_failed", whole.invoice(7900, status="open", amount_paid=2900))

    assert Mail.objects.get(template="payment_failed").context["amount"] == "50.00 USD"


def test_a_payment_has_one_receipt(payer: Person) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice.payment_succeeded", PAID)

    assert mails() == ["receipt"]


def test_the_mails_of_a_team_go_to_its_owner(payer: Person) -> None:
    team = team_of(payer)
    Customer.objects.update(user=None, team=team)

    receive_event("invoice.paid", PAID)

    assert Mail.objects.get(template="receipt").recipient == payer.user.email


def test_an_invoice_of_nothing_has_no_receipt(payer: Person) -> None:
    receive_event("invoice.paid", whole.invoice(0, status="paid", amount_paid=0))

    assert mails() == []


@pytest.mark.parametrize(("days", "expected"), [(365, ["renewal_upcoming"]), (30, [])])
def test_a_renewal_is_announced_to_who_pays_by_the_year(payer: Person, days: int, expected: list[str]) -> None:
    upcoming = whole.invoice(94_800, id="", status="draft", next_payment_attempt=whole.AT + 7 * 86_400)
    upcoming["lines"]["data"][0]["period"] = {"start": whole.AT, "end": whole.AT + days * 86_400}

    receive_event("invoice.upcoming", upcoming)

    assert mails() == expected


def test_the_end_of_a_subscription_is_said_once(payer: Person) -> None:
    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)
    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=61)

    assert mails() == ["subscription_canceled"]


def test_a_card_that_ends_with_the_month_is_announced_once(payer: Person) -> None:
    row = Customer.objects.get()
    Customer.objects.update(default_payment_method="pm_1")
    PaymentMethod.objects.create(
        external_id="pm_1", customer=row, brand="visa", last4="4242", exp_month=5, exp_year=2030
    )

    assert [customer_mails.send_expiring_cards(date(2030, month, 20)) for month in (4, 5, 5)] == [0, 1, 1]

    assert mails() == ["card_expiring"]


def test_the_card_that_a_checkout_gave_the_subscription_pays(payer: Person) -> None:
    row = Customer.objects.get()
    for id in ("pm_1", "pm_2"):
        PaymentMethod.objects.create(external_id=id, customer=row, last4="4242", exp_month=5, exp_year=2030)
    paid_by = whole.subscription(default_payment_method="pm_1")

    def default() -> list[str]:
        return [card.external_id for card in PaymentMethod.objects.for_owner(payer.user) if card.is_default]

    receive_event("customer.subscription.updated", paid_by, later=60)
    assert default() == ["pm_1"]
    Customer.objects.update(default_payment_method="pm_2")
    assert default() == ["pm_1"]  # the subscription's comes first
    assert customer_mails.send_expiring_cards(date(2030, 5, 20)) == 1
    receive_event("customer.subscription.deleted", {**paid_by, "status": "canceled"}, later=120)
    assert default() == ["pm_2"]


def test_a_mail_that_is_switched_off_is_not_sent(payer: Person, settings: Any) -> None:
    settings.BILLING_MAILS = ["payment_failed"]

    receive_event("invoice.paid", PAID)

    assert mails() == []


# ── Giving money back ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bought(product: ServiceClient, customer: Person) -> Person:
    """A buyer at the local provider, with a paid invoice."""
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    return customer


def test_a_refund_in_part_and_of_the_rest(bought: Person, staff_member: Person) -> None:
    refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
    refunded = refunds.refund_invoice(invoice(), amount_cents=None, reason="all of it", by=staff_member.user)

    assert refunded.net_paid.minor == 0
    amounts = InvoiceAdjustment.objects.order_by("pk").values_list("kind", "amount_cents")
    assert list(amounts) == [("refund", 1900), ("refund", 6000)]
    audited = AuditEvent.objects.filter(action="invoice.refunded").order_by("pk")
    assert [(row.actor, row.reason, row.data["amount_cents"]) for row in audited] == [
        (staff_member.user.pk, "sorry", 1900),
        (staff_member.user.pk, "all of it", 6000),
    ]
    with pytest.raises(NothingToRefund):
        refunds.refund_invoice(invoice(), amount_cents=None, reason="again", by=staff_member.user)


@pytest.mark.parametrize("cents", [0, -1, 7901])
def test_no_refund_of_more_than_was_paid(bought: Person, staff_member: Person, cents: int) -> None:
    with pytest.raises(Invalid):
        refunds.refund_invoice(invoice(), amount_cents=cents, reason="sorry", by=staff_member.user)
    Invoice.objects.update(status="open")  # paid in part
    with pytest.raises(NothingToRefund):
        refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert not InvoiceAdjustment.objects.exists()


@pytest.mark.parametrize(("currency", "step"), [("isk", 100), ("ugx", 100), ("kwd", 10), ("jpy", 1), ("usd", 1)])
def test_only_what_can_be_paid_is_refunded(bought: Person, staff_member: Person, currency: str, step: int) -> None:
    Invoice.objects.update(currency=currency)
    row, after = Subscription.objects.get(), timezone.now() + timedelta(days=10, seconds=17)
    in_cents = invoice()
    in_cents.currency = "usd"
    exactly = refunds.unused_cents(row, in_cents, after)

    assert refunds.unused_cents(row, invoice(), after) == exactly - exactly % step
    if step > 1:
        with pytest.raises(Invalid) as refused:
            refunds.refund_invoice(invoice(), amount_cents=1905, reason="sorry", by=staff_member.user)
        assert refused.value.errors == {"amount_cents": [f"Choose a multiple of {Money(step, currency)}."]}


def test_an_end_at_once_refunds_the_rest_of_the_period(bought: Person, staff_member: Person) -> None:
    row = Subscription.objects.get()
    assert row.current_period_end
    days = (row.current_period_end - row.started_at).days
    test_clock.advance_and_process(timedelta(days=10))
    Invoice.objects.create(  # after it came one that cost nothing
        external_id="in_0", customer=row.customer, subscription_id=row.external_id, status="paid", currency="usd"
    )

    ended = refunds.cancel_with_refund(row, reason="wanted out", by=staff_member.user)

    assert ended.status == "canceled"
    expected = 7900 * (days - 10) / days
    assert abs(Invoice.objects.get(total_cents=7900).returned_cents - expected) <= 1
    assert "subscription_canceled" in mails()


def test_an_end_refunds_nothing_of_a_period_that_was_not_paid(customer: Person, staff_member: Person) -> None:
    add_payment_method(customer.user, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2099)
    start_checkout(customer.user, plan_id="growth")
    test_clock.advance_and_process(timedelta(days=33))

    with pytest.raises(NothingToRefund):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    assert Subscription.objects.get().status == "past_due"
    assert not InvoiceAdjustment.objects.exists()


def test_an_end_refunds_nothing_of_what_a_smaller_plan_has_credited(bought: Person) -> None:
    """At Stripe a change may be invoiced at once: the difference is on the customer's balance."""
    row, paid = Subscription.objects.get(), invoice()
    assert row.current_period_end
    half = paid.issued_at + (row.current_period_end - paid.issued_at) / 2
    assert refunds.unused_cents(row, paid, half) == 3_950
    Invoice.objects.create(
        external_id="in_less", customer=row.customer, subscription_id=row.external_id, status="paid", currency="usd",
        total_cents=-3_000, issued_at=half,
    )  # fmt: skip

    assert refunds.last_paid_invoice(row) == paid
    assert refunds.unused_cents(row, paid, half) == 950
    assert refunds.unused_cents(row, paid, half + (row.current_period_end - half) / 2) == 475


def test_the_rest_of_a_large_amount_is_exact(bought: Person) -> None:
    row, paid = Subscription.objects.get(), invoice()
    assert row.current_period_end
    paid.amount_paid_cents = paid.total_cents = 10**15
    rest = (row.current_period_end - paid.issued_at) / 4

    assert refunds.unused_cents(row, paid, row.current_period_end - rest) == 10**15 // 4


@pytest.mark.parametrize("status", ["draft", "open"])
def test_an_end_refunds_nothing_of_an_earlier_period(bought: Person, staff_member: Person, status: str) -> None:
    """The renewal is not charged yet: it is a draft for an hour, or was sent to be paid within some days."""
    test_clock.advance_and_process(timedelta(days=33))
    renewal = Invoice.objects.latest("issued_at")
    Invoice.objects.filter(pk=renewal.pk).update(status=status, amount_paid_cents=0)

    with pytest.raises(NothingToRefund):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    assert Subscription.objects.get().status == "active"
    assert not InvoiceAdjustment.objects.exists()


def test_an_end_refunds_nothing_of_a_period_that_credit_has_paid(bought: Person, staff_member: Person) -> None:
    credited = Customer.objects.get()
    refunds.credit_customer(credited, amount_cents=7900, currency="usd", reason="a month", by=staff_member.user)
    test_clock.advance_and_process(timedelta(days=33))

    with pytest.raises(NothingToRefund):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    assert Subscription.objects.get().status == "active"


def test_a_credit_is_on_the_customers_balance(bought: Person, staff_member: Person) -> None:
    refunds.credit_customer(
        Customer.objects.get(), amount_cents=500, currency="usd", reason="sorry", by=staff_member.user
    )

    assert LocalObject.objects.get(kind="customer").data["balance"] == -500
    assert AuditEvent.objects.get(action="customer.credited").data == {"amount_cents": 500, "currency": "usd"}


def test_a_repeated_click_gives_one_credit(bought: Person, staff_member: Person) -> None:
    def credit(reason: str) -> bool:
        return refunds.credit_customer(
            Customer.objects.get(), amount_cents=500, currency="USD", reason=reason, by=staff_member.user
        )

    given = [credit(reason) for reason in ("sorry", "sorry", "and for the wait")]
    assert given == [True, False, True]
    assert LocalObject.objects.get(kind="customer").data["balance"] == -1000
    assert AuditEvent.objects.filter(action="customer.credited").count() == 2

    with time_machine.travel(timezone.now() + refunds.SAME_CREDIT):
        credit("sorry")
    assert LocalObject.objects.get(kind="customer").data["balance"] == -1500


def test_a_credit_is_positive_and_a_million_at_most(bought: Person, staff_member: Person) -> None:
    def credit(cents: int) -> None:
        refunds.credit_customer(
            Customer.objects.get(), amount_cents=cents, currency="usd", reason="sorry", by=staff_member.user
        )

    for cents in (-1, 0, 100_000_001):
        with pytest.raises(Invalid):
            credit(cents)
    assert not AuditEvent.objects.filter(action="customer.credited").exists()
    credit(100_000_000)

    assert LocalObject.objects.get(kind="customer").data["balance"] == -100_000_000


def test_a_credit_has_one_key_whatever_the_minute_until_it_is_given(
    bought: Person, staff_member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []

    def credit() -> None:
        refunds.credit_customer(
            Customer.objects.get(), amount_cents=500, currency="usd", reason="sorry", by=staff_member.user
        )

    def lose_answer(*_: object, idempotency_key: str, **__: object) -> None:
        keys.append(idempotency_key)
        raise ProviderUnavailable

    monkeypatch.setattr(LocalGateway, "credit_customer", lose_answer)
    for minutes in (0, 16):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes)), pytest.raises(ProviderUnavailable):
            credit()

    assert len(set(keys)) == 1


def test_stripe_is_asked_to_refund_the_invoices_payment(payer: Person, staff_member: Person, settings: Any) -> None:
    receive_event("invoice.paid", PAID)
    answers = {**SHOWN, "POST /v1/refunds": whole.refund(1900)}
    with stand_in(answers, StandIn) as here:
        bill_through_stripe(settings, here.url)
        refunded = refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert refunded.returned_cents == 1900
    asked = here.asked[-1]
    assert asked.fields == {
        "amount": "1900", "payment_intent": "pi_1", "metadata[invoice]": "in_1", "metadata[reason]": "sorry",
    }  # fmt: skip
    assert asked.headers["Idempotency-Key"] == f"refund:{refunded.pk}:0:1900"
    assert [faults(f"{it.method} {it.path}", it.fields) for it in here.asked] == [[], []]


def test_a_refund_whose_answer_was_an_error_is_made_by_another_click(
    payer: Person, staff_member: Person, settings: Any
) -> None:
    receive_event("invoice.paid", PAID)
    answers = {
        **SHOWN,
        "GET /v1/refunds": whole.list_page([], "/v1/refunds"),
        "POST /v1/refunds": [BROKEN, BROKEN, BROKEN, (200, whole.refund(1900))],
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        with pytest.raises(ProviderFailed):
            refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
        here.answers["POST /v1/refunds"] = whole.refund(1900)

        refunded = refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry!", by=staff_member.user)

    assert refunded.returned_cents == 1900


@pytest.mark.parametrize("failure", [ProviderFailed, IdempotencyMismatch])
def test_an_answer_that_would_be_repeated_ends_the_refunds_key(
    bought: Person, staff_member: Person, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise failure

    monkeypatch.setattr(LocalGateway, "refund_invoice", fail)
    with pytest.raises(failure):
        refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert (invoice().refund_attempt, invoice().refund_failed_at is not None) == (1, True)


def test_a_refund_that_was_made_without_an_answer_is_not_made_twice(
    payer: Person, staff_member: Person, settings: Any
) -> None:
    receive_event("invoice.paid", PAID)
    Invoice.objects.update(refund_attempt=1, refund_failed_at=timezone.now())
    made = whole.refund(1900, metadata={"invoice": "in_1", "reason": "sorry"}, created=int(time.time()))
    answers = {
        **SHOWN,
        "GET /v1/refunds": whole.list_page([made], "/v1/refunds"),
        "GET /v1/refunds/re_1": made,
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)

        refunded = refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert refunded.returned_cents == 1900
    assert "POST" not in {asked.method for asked in here.asked}


def test_a_refund_that_failed_can_be_made_again(payer: Person, staff_member: Person, settings: Any) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    answers = {
        **SHOWN,
        "POST /v1/refunds": whole.refund(1900, status="pending"),
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
        receive_event("refund.failed", whole.refund(1900, status="failed"), later=10**8)
        here.answers["POST /v1/refunds"] = whole.refund(1900, id="re_2")

        refunded = refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert refunded.returned_cents == 1900
    assert set(InvoiceAdjustment.objects.values_list("external_id", "status")) == {
        ("re_1", "failed"),
        ("re_2", "succeeded"),
    }


def test_a_refund_without_an_answer_that_an_event_has_shown_is_found_once(
    payer: Person, staff_member: Person, settings: Any
) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    made = whole.refund(1900, metadata={"invoice": "in_1", "reason": "sorry"}, created=int(time.time()))
    answers = {
        **SHOWN,
        "GET /v1/refunds": whole.list_page([made], "/v1/refunds"),
        "GET /v1/refunds/re_1": made,
        "POST /v1/refunds": [BROKEN],
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        with pytest.raises(ProviderFailed):
            refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
        receive_event("refund.created", made)
        here.answers["POST /v1/refunds"] = whole.refund(1900, id="re_2")

        again = refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
        second = refunds.refund_invoice(invoice(), amount_cents=1900, reason="and more", by=staff_member.user)

    assert (again.returned_cents, second.returned_cents) == (1900, 3800)


@pytest.mark.parametrize(("made_before", "failed_before"), [(60, 0), (0, 25)])
def test_a_refund_of_earlier_is_no_answer_to_a_call_of_now(
    payer: Person, staff_member: Person, settings: Any, made_before: int, failed_before: int
) -> None:
    """Made an hour before the call that had no answer; or that call was more than a day ago, and another refund is meant."""
    receive_event("invoice.paid", PAID)
    failed_at = timezone.now() - timedelta(hours=failed_before)
    Invoice.objects.update(refund_attempt=1, refund_failed_at=failed_at)
    created = int((failed_at - timedelta(minutes=made_before)).timestamp())
    earlier = whole.refund(1900, metadata={"invoice": "in_1", "reason": "sorry"}, created=created)
    answers = {
        **SHOWN,
        "GET /v1/refunds": whole.list_page([earlier], "/v1/refunds"),
        "POST /v1/refunds": whole.refund(1900, id="re_2"),
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)

        refunds.refund_invoice(invoice(), amount_cents=1900, reason="and again", by=staff_member.user)

    assert "POST /v1/refunds" in {f"{asked.method} {asked.path}" for asked in here.asked}


def test_a_refund_that_waits_for_the_customer_is_not_made_again(
    payer: Person, staff_member: Person, settings: Any
) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    answers = {
        **SHOWN,
        "POST /v1/refunds": whole.refund(1900, status="requires_action"),
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        for _ in range(2):
            refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    keys = {asked.headers["Idempotency-Key"] for asked in here.asked if asked.method == "POST"}
    assert keys == {f"refund:{invoice().pk}:0:1900"}


def test_an_end_whose_refund_is_refused_is_in_the_audit_trail(
    bought: Person, staff_member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ProviderRefused("The charge has been disputed.")

    monkeypatch.setattr(LocalGateway, "refund_invoice", refuse)
    with pytest.raises(ProviderRefused):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    assert Subscription.objects.get().status == "canceled"
    assert AuditEvent.objects.filter(action="subscription.canceled", actor=staff_member.user.pk).count() == 1


def test_an_end_whose_refund_was_refused_is_refunded_by_another_click_once(
    bought: Person, staff_member: Person
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ProviderRefused("The balance is insufficient.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalGateway, "refund_invoice", refuse)
        with pytest.raises(ProviderRefused):
            refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)
        returned = invoice().returned_cents
        with pytest.raises(NothingToRefund):
            refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    owed = AuditEvent.objects.get(action="subscription.canceled").data["refund_cents"]
    assert (returned, invoice().returned_cents) == (owed, owed)
    assert owed > 7500


def test_an_end_whose_refund_was_made_without_an_answer_owes_nothing(bought: Person, staff_member: Person) -> None:
    make = LocalGateway.refund_invoice

    def lose_answer(gateway: LocalGateway, *what: Any, **terms: Any) -> str:
        make(gateway, *what, **terms)
        raise ProviderUnavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalGateway, "refund_invoice", lose_answer)
        with pytest.raises(ProviderUnavailable):
            refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)
    event_factories.drain()
    returned = invoice().returned_cents

    with pytest.raises(NothingToRefund):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="wanted out", by=staff_member.user)

    assert returned == invoice().returned_cents > 7500


def test_what_ended_without_a_refund_has_none_to_make_up_for(bought: Person, staff_member: Person) -> None:
    cancel_by_staff(Subscription.objects.get(), at_period_end=False, reason="wanted out", by=staff_member.user)

    with pytest.raises(NothingToRefund):
        refunds.cancel_with_refund(Subscription.objects.get(), reason="and money", by=staff_member.user)


def test_stripe_is_asked_to_credit_the_customer(payer: Person, staff_member: Person, settings: Any) -> None:
    answers = {
        "POST /v1/customers/cus_1/balance_transactions": whole.balance_transaction(-500),
        "GET /v1/customers/cus_1": whole.customer(balance=-500),
    }
    with stand_in(answers, StandIn) as here:
        bill_through_stripe(settings, here.url)
        refunds.credit_customer(
            Customer.objects.get(), amount_cents=500, currency="usd", reason="sorry", by=staff_member.user
        )

    assert here.asked[0].fields == {"amount": "-500", "currency": "usd", "description": "sorry"}
    assert [faults(f"{it.method} {it.path}", it.fields) for it in here.asked] == [[], []]


@pytest.mark.parametrize(
    ("setting", "while_open", "once_lost"), [("never", True, True), ("lost", True, False), ("opened", False, False)]
)
def test_a_dispute_ends_access_where_the_setting_says_so(
    payer: Person, settings: Any, setting: str, while_open: bool, once_lost: bool
) -> None:
    bought = get_limit(payer.user, "seats")
    settings.BILLING_DISPUTE_ENDS_ACCESS = setting
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)

    def has_access() -> bool:
        return get_limit(payer.user, "seats") == bought

    receive_event("charge.dispute.created", whole.dispute(7900))
    assert has_access() == while_open
    receive_event("charge.dispute.closed", whole.dispute(7900, status="lost"), later=60)
    assert has_access() == once_lost
    Invoice.objects.update(subscription_id="sub_other")  # what was paid by it is another's
    assert has_access()
    Invoice.objects.update(subscription_id="sub_1")
    InvoiceAdjustment.objects.update(status="won")
    assert has_access()


def tell_dispute(status: str) -> None:
    receive_event("invoice.paid", PAID)
    receive_event("invoice_payment.paid", PAYMENT)
    receive_event("charge.dispute.created", whole.dispute(7900, status=status))
    Subscription.objects.update(current_period_end=timezone.now() + timedelta(days=10))


def test_what_the_bank_only_asks_about_is_refunded(payer: Person, staff_member: Person, settings: Any) -> None:
    tell_dispute("warning_needs_response")
    with stand_in({**SHOWN, "POST /v1/refunds": whole.refund(1900)}) as stripe:
        bill_through_stripe(settings, stripe.url)
        refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)

    assert [asked.fields["amount"] for asked in stripe.asked if asked.path == "/v1/refunds"] == ["1900"]
    assert invoice().returned_cents == 1900


def test_what_is_disputed_is_not_refunded_and_does_not_end(payer: Person, staff_member: Person, settings: Any) -> None:
    tell_dispute("needs_response")
    with stand_in({**SHOWN, "POST /v1/refunds": whole.refund(1900)}) as stripe:
        bill_through_stripe(settings, stripe.url)
        with pytest.raises(PaymentDisputed):
            refunds.refund_invoice(invoice(), amount_cents=1900, reason="sorry", by=staff_member.user)
        with pytest.raises(PaymentDisputed):
            refunds.cancel_with_refund(Subscription.objects.get(), reason="sorry", by=staff_member.user)

    assert (stripe.asked, Subscription.objects.get().status) == ([], "active")
