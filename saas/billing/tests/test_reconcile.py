"""The nightly reconciliation with the provider."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from prometheus_client import REGISTRY

from saas.accounts.models import User
from saas.billing.checkouts import start_checkout
from saas.billing.models import Customer, Invoice, LedgerEntry, LocalObject, PaymentMethod, Subscription
from saas.billing.payment_methods import add_payment_method
from saas.billing.sync import reconcile
from saas.billing.tests import stripe_params
from saas.billing.tests.fake_stripe import refusal
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.billing.tests.test_stripe_gateway import BUSY, SUBSCRIPTION
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

FORBIDDEN = refusal("The provided key does not have the required permissions for this endpoint.", status=403)


def run() -> list[str]:
    out = StringIO()
    call_command("billing_reconcile", stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def bought(customer: Person) -> Subscription:
    add_payment_method(customer.user, type="card", provider="visa", last4="4242", exp_month=12, exp_year=2099)
    start_checkout(customer.user, plan_id="growth")
    return Subscription.objects.get()


def test_where_nothing_drifted_nothing_is_found_and_no_trace_is_left(bought: Subscription) -> None:
    elsewhere = Customer.objects.create(provider="stripe", external_id="cus_1")
    before = WebhookEvent.objects.count()

    assert run() == ["0 differences"]

    assert WebhookEvent.objects.count() == before
    elsewhere.refresh_from_db()
    assert elsewhere.reconciled_at is None  # the local provider is not asked about Stripe's customers


def test_what_no_event_told_is_found_and_put_right(bought: Subscription) -> None:
    row = LocalObject.objects.get(pk=bought.external_id)
    row.data |= {"status": "canceled", "ended_at": row.data["created"] + 60, "canceled_at": row.data["created"] + 60}
    row.save()

    first, second = run(), run()

    assert first == [
        f"subscription {bought.external_id} differed: canceled_at, ended_at, status",
        "1 differences",
    ]
    assert second == ["0 differences"]
    assert Subscription.objects.get().status == "canceled"
    assert LedgerEntry.objects.order_by("pk").values_list("kind", flat=True).last() == "canceled"


def test_what_never_came_is_fetched(bought: Subscription) -> None:
    invoice, card = Invoice.objects.get(), PaymentMethod.objects.get()
    WebhookEvent.objects.filter(object_id__in=[invoice.external_id, card.external_id]).delete()
    Invoice.objects.all().delete()
    PaymentMethod.objects.all().delete()

    assert run() == [
        f"invoice {invoice.external_id} differed: it was missing",
        f"payment_method {card.external_id} differed: it was missing",
        "2 differences",
    ]

    assert (Invoice.objects.get().status, PaymentMethod.objects.get().last4) == ("paid", "4242")


def test_a_card_whose_detachment_nobody_told_is_found(bought: Subscription) -> None:
    row = LocalObject.objects.get(kind="payment_method")
    row.data |= {"customer": None}
    row.save()
    assert run() == ["0 differences"]  # one that is as young may have come after the list
    PaymentMethod.objects.update(created_at=bought.started_at - reconcile.JUST_MADE * 2)

    assert run()[0] == f"payment_method {row.pk} differed: detached_at"

    assert not PaymentMethod.objects.usable().exists()
    assert run() == ["0 differences"]


def test_the_next_run_goes_on_where_time_was_over(bought: Subscription, other: Person) -> None:
    start_checkout(other.user, plan_id="growth")
    first = bought.customer_id
    LocalObject.objects.filter(kind="subscription").delete()

    found = [reconcile.reconcile_due(seconds=0) for _ in range(3)]

    assert found == [1, 1, 0]  # each names its subscription, and nobody is due before tomorrow
    assert Customer.objects.exclude(reconciled_at=None).order_by("reconciled_at").first().pk == first
    Customer.objects.update(reconciled_at=timezone.now() - reconcile.EVERY)
    assert reconcile.reconcile_due() == 2


def test_who_cannot_be_asked_about_holds_up_nobody(bought: Subscription, settings: Any) -> None:
    Customer.objects.update(provider="stripe")
    waits = Customer.objects.create(provider="stripe", external_id="cus_2", pk="cst_zzz")
    with stand_in({"GET /v1/customers/cus_2": [BUSY]}, StandIn) as here:
        bill_through_stripe(settings, here.url)
        reconcile.reconcile_due(seconds=0)
        reconcile.reconcile_due(seconds=0)

    waits.refresh_from_db()
    assert waits.reconciled_at is not None


def test_a_metric_tells_for_how_long_a_customer_was_not_compared(bought: Subscription) -> None:
    Customer.objects.update(reconciled_at=timezone.now())
    never = timezone.now() - timedelta(hours=50)
    Customer.objects.create(provider="local", external_id="cus_2", created_at=never)

    age = REGISTRY.get_sample_value("billing_comparison_age_seconds")

    assert age == pytest.approx(50 * 3600, abs=60)


def test_what_was_erased_does_not_come_back(bought: Subscription, customer: Person) -> None:
    PaymentMethod.objects.all().delete()
    User.objects.filter(pk=customer.user.pk).update(status=User.Status.DELETED)

    assert run() == ["0 differences"]

    assert not PaymentMethod.objects.exists()


def test_what_the_provider_does_not_know_is_named_and_left_alone(bought: Subscription) -> None:
    LocalObject.objects.filter(pk=bought.external_id).delete()

    assert run() == [f"subscription {bought.external_id} is not known to the provider", "1 differences"]

    assert Subscription.objects.get().status == "active"


def test_a_checkout_whose_payment_nobody_told_is_completed(customer: Person, settings: Any) -> None:
    from saas.billing.providers.local import checkout_page

    settings.BILLING_LOCAL_CHECKOUT = "hosted"
    checkout = start_checkout(customer.user, plan_id="growth")
    checkout_page.pay_checkout(checkout, last4="4242")
    LocalObject.objects.undelivered().delete()  # lost on the way

    found = run()

    assert found[0] == f"checkout {checkout.external_id} differed: status"
    assert Subscription.objects.get().status == "active"
    assert run() == ["0 differences"]


def test_the_nightly_run_logs_each_difference(bought: Subscription, caplog: pytest.LogCaptureFixture) -> None:
    Subscription.objects.update(status="unpaid")

    assert reconcile.reconcile_due() == 1

    assert caplog.records[-1].difference == f"subscription {bought.external_id} differed: status"  # type: ignore[attr-defined]
    assert Subscription.objects.get().status == "active"


@pytest.fixture
def stripes(settings: Any) -> Iterator[StandIn]:
    empty = {"object": "list", "data": [], "has_more": False, "url": "/"}
    customer = {"id": "cus_1", "object": "customer", "livemode": False}
    answers = {
        "GET /v1/customers/cus_1": customer,
        "GET /v1/subscriptions": {**empty, "data": [SUBSCRIPTION]},
        "GET /v1/invoices": empty,
        "GET /v1/payment_methods": empty,
        "GET /v1/customers/cus_1/tax_ids": empty,
    }
    with stand_in(answers) as here:
        bill_through_stripe(settings, here.url, key="sk_test_reconcile")
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


def test_stripe_is_asked_alike(customer: Person, stripes: StandIn) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")

    assert run() == ["subscription sub_1 differed: it was missing", "1 differences"]

    assert Subscription.objects.get().customer.user == customer.user
    assert run() == ["0 differences"]


def test_what_stripe_refuses_to_tell_is_named_and_the_rest_is_asked(customer: Person, stripes: StandIn) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    del stripes.answers["GET /v1/invoices"]

    assert run() == [
        "subscription sub_1 differed: it was missing",
        "invoice of cus_1 could not be asked about: No such object.",
        "2 differences",
    ]


def test_a_stripe_that_is_away_is_not_asked_on(customer: Person, other: Person, stripes: StandIn) -> None:
    Customer.objects.create(user=other.user, provider="stripe", external_id="cus_0")
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    stripes.answers = {"GET /v1/customers/cus_0": [BUSY], "GET /v1/customers/cus_1": [BUSY]}

    told = run()

    assert (len(told), told[0].startswith("stopped: ")) == (2, True)
    assert {asked.path for asked in stripes.asked} in ({"/v1/customers/cus_0"}, {"/v1/customers/cus_1"})


def test_another_address_of_an_invoices_page_is_no_difference(bought: Subscription) -> None:
    row = LocalObject.objects.get(kind="invoice")
    row.data |= {"hosted_invoice_url": "https://invoice.example.com/made-for-this-answer"}
    row.save()
    before = WebhookEvent.objects.count()

    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert (run(), WebhookEvent.objects.count()) == (["0 differences"], before)


def test_what_our_key_may_not_read_holds_up_nothing_else_and_is_no_drift(
    customer: Person, other: Person, stripes: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    for number, person in enumerate((customer, other), start=1):
        Customer.objects.create(user=person.user, provider="stripe", external_id=f"cus_{number}")
    stripes.answers["GET /v1/customers/cus_2"] = {"id": "cus_2", "object": "customer", "livemode": False}
    stripes.answers["GET /v1/customers/cus_2/tax_ids"] = stripes.answers["GET /v1/customers/cus_1/tax_ids"]
    stripes.answers["GET /v1/invoices"] = [FORBIDDEN]

    assert run() == ["subscription sub_1 differed: it was missing", "1 differences"]

    assert [(record.message, record.kind) for record in caplog.records if record.name == reconcile.__name__] == [
        ("not_compared_for_want_of_permission", "invoice")
    ]
    asked = [call.path for call in stripes.asked]
    assert (asked.count("/v1/invoices"), asked.count("/v1/payment_methods")) == (1, 2)
    assert {f"/v1/customers/cus_{number}/tax_ids" for number in (1, 2)} <= set(asked)
