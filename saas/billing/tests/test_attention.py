"""What cannot be read or counted is said: on the row, on the event, in the list of alarms, and to staff."""

from typing import Any

import pytest

from saas.billing.alarms import AlarmKind, count_alarms, open_alarms
from saas.billing.models import Customer, Invoice, Price, Subscription
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _known(customer: Person, settings: Any) -> None:
    settings.BILLING_NOTIFY_EMAIL = "money@example.net"
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")


def tell(type: str, thing: dict[str, Any], *, id: str = "evt_1", at: int = whole.AT) -> WebhookEvent:
    append_event(whole.event(type, thing, id=id, at=at), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
    return WebhookEvent.objects.get(external_id=id)


def seats(**price: Any) -> dict[str, Any]:
    return whole.subscription_item(whole.price("price_seat", **price), 3, id="si_2")


TIERED = {"billing_scheme": "tiered", "tiers_mode": "graduated", "unit_amount": None, "unit_amount_decimal": None}


@pytest.mark.parametrize(
    ("fields", "cents", "reason"),
    [
        (TIERED, 7900, "price price_seat is tiered, and is left out"),
        ({"usage_type": "metered"}, 7900, "price price_seat is metered: it depends on usage, and is left out"),
        (
            {"unit_amount": "seventy-nine", "unit_amount_decimal": None},
            7900,
            "price price_seat has an amount that cannot be read",
        ),
        ({"interval": "fortnight"}, 7900, "price price_seat has an unknown interval"),
    ],
)
def test_a_price_that_cannot_be_counted_is_left_out_and_named(fields: dict[str, Any], cents: int, reason: str) -> None:
    event = tell(
        "customer.subscription.created", whole.subscription(whole.subscription_item(whole.price()), seats(**fields))
    )

    row = Subscription.objects.get()
    assert (row.monthly_cents, row.attention, row.attention_event_id) == (cents, reason, "evt_1")
    assert (event.status, event.attention) == ("processed", reason)
    [alarm] = open_alarms(AlarmKind.NEEDS_ATTENTION)
    assert (alarm.target, alarm.reason, alarm.event_id, alarm.remedy) == (row, reason, "evt_1", "refresh")
    mail = Mail.objects.get(template="billing_alert")
    assert (mail.recipient, mail.context["reason"]) == ("money@example.net", reason)


def test_an_unknown_status_gives_nothing_and_is_said() -> None:
    event = tell("customer.subscription.created", whole.subscription(status="dormant"))

    assert event.attention == "status dormant is unknown: it gives no access"
    assert Subscription.objects.get().status == "dormant"


@pytest.mark.parametrize(
    ("pause", "reason"),
    [
        (None, ""),
        ({"behavior": "void", "resumes_at": None}, "its payments are not collected (void): it is counted all the same"),
        (
            {"behavior": "keep_as_draft", "resumes_at": whole.AT},
            "its payments are not collected until 2026-09-21 (keep_as_draft): it is counted all the same",
        ),
    ],
)
def test_a_pause_of_collection_keeps_access_and_is_said(pause: dict[str, Any] | None, reason: str) -> None:
    tell("customer.subscription.updated", whole.subscription(pause_collection=pause))

    row = Subscription.objects.get()
    assert (row.status, row.monthly_cents, row.attention) == ("active", 7900, reason)


def test_what_is_put_right_needs_no_attention_any_more() -> None:
    tell("customer.subscription.created", whole.subscription(status="dormant"))
    tell("customer.subscription.updated", whole.subscription(), id="evt_2", at=whole.AT + 60)

    assert Subscription.objects.get().attention == ""
    assert not WebhookEvent.objects.needing_attention().exists()
    assert count_alarms() == {}


def test_an_unknown_price_is_said_until_it_is_mapped() -> None:
    other = whole.subscription(whole.subscription_item(whole.price("price_new", product="prod_new")))
    event = tell("customer.subscription.created", other)

    assert event.attention == "price price_new stands for no plan"
    [alarm] = open_alarms()
    assert (alarm.kind, alarm.event_id, alarm.remedy) == (AlarmKind.UNMAPPED_PRICE, "evt_1", "map-price")
    assert count_alarms() == {"unmapped_price": 1}


@pytest.mark.parametrize("name", ["total", "amount_due", "amount_paid"])
def test_an_invoice_of_no_number_is_shown_to_nobody_as_nothing(
    product: ServiceClient, customer: Person, name: str
) -> None:
    paid = whole.invoice(7900, status="paid", amount_paid=7900)
    event = tell("invoice.paid", {**paid, name: "seventy-nine"})

    row = Invoice.objects.get()
    assert (row.status, row.amounts_are_known) == ("paid", False)
    assert event.attention == f"{name} of the invoice cannot be read"
    assert product.get("/api/billing/invoices", token=customer.token).json()["invoices"] == []
    assert [alarm.target for alarm in open_alarms(AlarmKind.NEEDS_ATTENTION)] == [row]


def test_a_paid_invoice_of_no_known_subscription_is_an_alarm() -> None:
    tell("invoice.paid", whole.invoice(7900, status="paid", amount_paid=7900))

    [alarm] = open_alarms()
    assert (alarm.kind, alarm.event_id) == (AlarmKind.PAID_WITHOUT_SUBSCRIPTION, "evt_1")
    assert alarm.reason == "79.00 USD were paid for sub_1, which is not here"


def test_operators_read_what_needs_attention(webhooks: ServiceClient) -> None:
    tell("customer.subscription.created", whole.subscription(status="dormant"))

    [item] = webhooks.get("/api/webhooks/logs").json()["items"]
    assert item["attention"] == "status dormant is unknown: it gives no access"


def test_an_invoice_that_stripe_could_not_issue_is_an_alarm_until_it_is() -> None:
    error = {"code": "customer_tax_location_invalid", "message": "The customer's location isn't recognized."}
    draft = whole.invoice(status="draft", last_finalization_error=error)
    reason = "it is not charged: The customer's location isn't recognized."

    tell("invoice.finalization_failed", draft)

    [alarm] = open_alarms(AlarmKind.NEEDS_ATTENTION)
    assert (alarm.target, alarm.reason, alarm.remedy) == (Invoice.objects.get(), reason, "refresh")
    assert Mail.objects.get(template="billing_alert").context["reason"] == reason
    tell("invoice.finalized", whole.invoice(last_finalization_error=error), id="evt_2", at=whole.AT + 60)
    assert count_alarms() == {}
