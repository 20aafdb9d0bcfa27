"""How long the payloads of events are kept that rows are projected from."""

from datetime import timedelta

import pytest
from django.utils import timezone

from saas.billing.models import (
    Checkout,
    Customer,
    Invoice,
    InvoiceAdjustment,
    PaymentMethod,
    Plan,
    Subscription,
)
from saas.billing.providers.stripe import example_events
from saas.billing.sync.rebuild import rebuild_rows
from saas.mail.models import Mail
from saas.operations.retention import passes
from saas.testing.factories.event_factories import json_bytes
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent, WebhookPayload
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db


def stored_subscription(name, *, received_days, ended_days=None):
    """The external id of the event of a subscription, which came so many days ago and ended so many days ago."""
    event = example_events.example_event("customer.subscription.deleted", at=1_700_000_000, fields={"id": name})
    store_deliveries([IncomingEvent.parse(json_bytes(event), headers={})])
    event_worker.drain()
    ended_at = timezone.now() - timedelta(days=ended_days) if ended_days else None
    Subscription.objects.filter(external_id=name).update(ended_at=ended_at)
    WebhookEvent.objects.filter(external_id=event["id"]).update(
        received_at=timezone.now() - timedelta(days=received_days)
    )
    return event["id"]


def with_payload():
    return list(WebhookPayload.objects.order_by("pk").values_list("event__external_id", flat=True))


def test_an_ended_objects_payloads_are_deleted_together_its_row_stays():
    stored_subscription("sub_old", received_days=401, ended_days=401)
    young = stored_subscription("sub_young", received_days=401, ended_days=399)
    running = stored_subscription("sub_running", received_days=4000)

    assert passes.delete_expired(only_due=False) == 1

    assert with_payload() == [young, running]
    assert WebhookEvent.objects.count() == 3
    assert "sub_old" not in " ".join(rebuild_rows(repair=False))


@pytest.mark.parametrize(("status", "days"), [("processed", 399), ("retry_scheduled", 4000)])
def test_a_recent_or_waiting_event_keeps_all_payloads_of_its_object(status, days):
    kept = [stored_subscription("sub_old", received_days=401, ended_days=401), "evt_late"]
    old = WebhookEvent.objects.get()
    late = WebhookEvent.objects.create(
        external_id="evt_late",
        type=old.type,
        object_id="sub_old",
        status=status,
        provider_created=timezone.now(),
        received_at=timezone.now() - timedelta(days=days),
        body_size=2,
    )
    WebhookPayload.objects.create(event=late, body=b"{}")

    assert passes.delete_expired(only_due=False) == 0
    assert with_payload() == kept


@pytest.mark.parametrize(
    ("type", "object_id"),
    [
        ("price.created", "price_1"),
        ("product.updated", "prod_1"),
        ("coupon.created", "off"),
        ("invoice.paid", "in_1"),
        ("customer.updated", "cus_1"),
        ("customer.discount.created", "di_1"),
        ("charge.updated", "ch_1"),
        ("refund.created", "re_1"),
        ("charge.refunded", "ch_2"),
        ("checkout.session.completed", "cs_1"),
        ("payment_method.attached", "pm_1"),
    ],
)
def test_payloads_of_what_has_not_ended_stay_and_unknown_ones_go(type, object_id):
    customer = Customer.objects.create(provider="stripe", external_id="cus_1")
    Invoice.objects.create(
        external_id="in_1", customer=customer, charge_id="ch_1", status="paid", issued_at=timezone.now()
    )
    InvoiceAdjustment.objects.create(external_id="re_1", customer=customer, kind="refund", charge_id="ch_2")
    PaymentMethod.objects.create(external_id="pm_1", customer=customer)
    for id, of in (("evt_known", object_id), ("evt_unknown", "nobody_knows_it")):
        row = WebhookEvent.objects.create(
            external_id=id,
            type=type,
            object_id=of,
            customer_id="cus_1" if of == object_id else "",
            status="processed",
            provider_created=timezone.now(),
            received_at=timezone.now() - timedelta(days=4000),
            body_size=2,
        )
        WebhookPayload.objects.create(event=row, body=b"{}")

    passes.delete_expired(only_due=False)

    never_ends = type.startswith(("price.", "product.", "coupon."))
    assert with_payload() == (["evt_known", "evt_unknown"] if never_ends else ["evt_known"])


def test_the_rows_of_attempts_that_came_to_nothing_go_after_their_payloads(customer: Person):
    plan = Plan.objects.first() or Plan.objects.create(id="starter", name="Starter", price_cents=100)
    payer = Customer.objects.create(provider="stripe", external_id="cus_1", user=customer.user)
    long_ago = timezone.now() - timedelta(days=401)
    for name, status in (("cs_paid", "active"), ("cs_left", "expired"), ("cs_payload", "failed")):
        Checkout.objects.create(customer=payer, plan=plan, external_id=name, status=status, ended_at=long_ago)
    for name in ("pm_gone", "pm_payload"):
        PaymentMethod.objects.create(external_id=name, customer=payer, detached_at=long_ago)
    for name in ("cs_payload", "pm_payload"):
        event = WebhookEvent.objects.create(
            external_id=f"evt_{name}", object_id=name, provider_created=timezone.now(), body_size=2
        )
        WebhookPayload.objects.create(event=event, body=b"{}")

    passes.delete_expired(only_due=False)

    assert sorted(Checkout.objects.values_list("external_id", flat=True)) == ["cs_paid", "cs_payload"]
    assert PaymentMethod.objects.get().external_id == "pm_payload"


def test_mails_about_money_stay_so_that_no_replay_sends_them_again():
    long_ago = timezone.now() - timedelta(days=401)
    for template in ("receipt", "welcome"):
        Mail.objects.create(
            template=template, recipient="a@example.net", dedupe_key=template, status="sent", created_at=long_ago
        )
    Mail.objects.create(template="welcome", recipient="a@example.net", dedupe_key="waits", created_at=long_ago)

    passes.delete_expired(only_due=False)

    assert sorted(Mail.objects.values_list("dedupe_key", flat=True)) == ["receipt", "waits"]
