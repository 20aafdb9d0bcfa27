"""The events of ``stripe_trigger`` are projected, in both API shapes."""

import pytest

from saas.billing.models import Checkout, Customer, Invoice, PaymentMethod, Price, Subscription
from saas.billing.providers.stripe import example_events
from saas.testing.factories.event_factories import json_bytes
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.dispatch import handlers_for
from saas.webhook_events.envelope import Envelope
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

pytestmark = pytest.mark.django_db

AT = 1_800_000_000
SHAPES = [example_events.CURRENT, example_events.LEGACY]


def told(event_type, **options):
    event = example_events.example_event(event_type, at=AT, **options)
    store_deliveries([IncomingEvent.parse(json_bytes(event), headers={})])
    event_worker.drain(5)
    return event["data"]["object"]


@pytest.mark.parametrize("version", SHAPES)
@pytest.mark.parametrize("event_type", example_events.EVENT_TYPES)
def test_every_type_that_it_knows_is_processed_or_kept_for_the_log(event_type, version):
    told(event_type, version=version)

    row = WebhookEvent.objects.get()
    assert (row.status, row.api_version) == ("processed" if handlers_for(event_type) else "ignored", version)


@pytest.mark.parametrize("version", SHAPES)
def test_a_subscription_and_its_invoice_are_mirrored_from_either_shape(version):
    thing = told("customer.subscription.updated", version=version)
    bill = told("invoice.paid", version=version)

    row = Subscription.objects.get(external_id=thing["id"])
    assert (row.status, row.plan_id, row.monthly_cents) == ("active", "starter", 1900)
    assert int(row.current_period_end.timestamp()) == AT + 30 * 86_400
    invoice = Invoice.objects.get(external_id=bill["id"])
    assert (invoice.status, invoice.amount_paid_cents) == ("paid", 1900)
    assert invoice.subscription_id.startswith("sub_")


def test_the_other_mirrored_objects_are_there_too():
    names = {kind: told(f"{kind}.created")["id"] for kind in ("customer", "price")}
    card = told("payment_method.attached")
    told("checkout.session.completed")

    assert Customer.objects.filter(external_id=names["customer"]).exists()
    assert Price.objects.get(external_id=names["price"]).unit_amount_cents == 1900
    assert PaymentMethod.objects.get(external_id=card["id"]).last4 == "4242"
    assert not Checkout.objects.exists()  # of somebody else's: kept, and acted on by nobody


@pytest.mark.parametrize(
    ("event_type", "kind", "prefix"),
    [
        ("invoice.paid", "invoice", "in_"),
        ("checkout.session.completed", "checkout.session", "cs_"),
        ("ping", "ping", "obj_"),
    ],
)
def test_a_triggered_events_object_is_named_after_its_type(event_type, kind, prefix):
    told = Envelope.from_event(example_events.example_event(event_type, at=1_700_000_000, fields={"customer": "cus_9"}))

    assert told.object_type == kind
    assert told.object_id.startswith(prefix)
    assert told.customer_id == "cus_9"
