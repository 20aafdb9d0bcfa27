"""Events through the inbox and its processing into rows."""

from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.billing import entitlements
from saas.billing.clock import now
from saas.billing.models import (
    Checkout,
    Customer,
    Invoice,
    LedgerEntry,
    PaymentMethod,
    Plan,
    Price,
    Product,
    Subscription,
)
from saas.billing.sync.rebuild import rebuild_rows
from saas.billing.tests.samples import all_checkpoints, all_events, own_events
from saas.billing.tests.test_stories import assert_expected
from saas.billing.webhook_handlers import COMMITTED_WITHIN
from saas.ids import new_id
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.subscription_stories import Checkpoint
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing.event_worker import process_event

STORIES = all_checkpoints()
WHOLE_STORIES = [story for story in STORIES if story.is_last]
IDS = [story.name for story in STORIES]
WHOLE_IDS = [story.name for story in WHOLE_STORIES]
DELIVERY = WebhookEvent.Source.DELIVERY


def take_in(events: list[dict[str, Any]]) -> None:
    """Each event is acted on before the next arrives: the order of arrival is the order of the effects."""
    for event in events:
        append_event(event, source=DELIVERY)
        event_factories.drain()


def rows() -> dict[str, Any]:
    """Everything that the events left behind, but for ids and times of our own."""
    mirrored = [
        *Subscription.objects.order_by("external_id").values(
            "external_id", "customer__external_id", "status", "price_id", "monthly_cents", "current_period_end"
        ),
        *Subscription.objects.order_by("external_id").values("past_due_since", "ended_at", "ambiguous", "changed_at"),
        *Invoice.objects.order_by("external_id").values("external_id", "customer__external_id", "status", "paid_at"),
        *Customer.objects.order_by("external_id").values("external_id", "email", "default_payment_method"),
        *PaymentMethod.objects.order_by("external_id").values("external_id", "last4", "detached_at"),
        *LedgerEntry.objects.order_by("subscription__external_id", "number").values(
            "kind", "movement", "at", "cohort", "delta_cents", "customer_cents", "event_id"
        ),
    ]
    return {str(number): row for number, row in enumerate(mirrored)}


def end_state(story: Checkpoint) -> dict[str, Any]:
    state: dict[str, Any] = {
        "events_stored": WebhookEvent.objects.count(),
        "invoice": dict(Invoice.objects.values_list("external_id", "status")),
    }
    if customer := Customer.objects.filter(external_id=story.customer).first():
        state["default_payment_method"] = customer.default_payment_method
    if row := Subscription.objects.first():
        grace = row.status == "past_due" and row.past_due_since and row.grants_access(row.past_due_since)
        state |= {
            "subscription_status": row.status,
            "access": "grace" if grace else row.grants_access(row.changed_at),
            "cancel_at_period_end": row.cancel_at_period_end,
            "price": row.price_id,
            "current_period_end": int(row.current_period_end.timestamp()) if row.current_period_end else None,
        }
    return state


@pytest.mark.parametrize("story", STORIES, ids=IDS)
def test_a_story_leaves_the_expected_rows(story: Checkpoint, db: None) -> None:
    take_in(story.events)

    assert_expected(end_state(story), story.expect)
    assert not WebhookEvent.objects.exclude(status__in=["processed", "ignored"]).exists()


@pytest.mark.parametrize("story", WHOLE_STORIES, ids=WHOLE_IDS)
def test_a_story_told_backwards_leaves_the_same_rows(story: Checkpoint, db: None) -> None:
    take_in(story.events[::-1])
    backwards = rows()
    for model in (LedgerEntry, Subscription, Invoice, PaymentMethod, Customer, WebhookEvent):
        model.objects.all().delete()
    take_in(story.events)

    assert rows() == backwards


@pytest.mark.parametrize("story", WHOLE_STORIES, ids=WHOLE_IDS)
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_story_in_any_order_leaves_the_expected_rows(story: Checkpoint, db: None, data: st.DataObject) -> None:
    for model in (LedgerEntry, Subscription, Invoice, PaymentMethod, Customer, WebhookEvent):
        model.objects.all().delete()

    take_in(data.draw(st.permutations(story.events)))

    assert_expected(end_state(story), story.expect)


COLLECTIONS = {"own": own_events()} | ({"recorded": all_events()} if all_events() else {})


@pytest.mark.parametrize("events", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_every_event_is_projected_and_replaying_changes_no_row(events: list[dict[str, Any]], db: None) -> None:
    for event in events:
        append_event(event, source=DELIVERY)
    event_factories.drain()
    unsettled = WebhookEvent.objects.exclude(status__in=["processed", "ignored"])
    assert list(unsettled.values_list("type", "status", "last_error")) == []
    assert not Subscription.objects.linked().exists()  # nobody here bought any of it
    before = rows()

    WebhookEvent.objects.update(status="replay_queued")
    event_factories.make_events_due()
    event_factories.drain()

    assert rows() == before
    assert len(before) > 80


def test_the_sparse_event_of_the_starters_guide_harms_nothing(db: None) -> None:
    append_event(
        {
            "id": "evt_test_123",
            "type": "customer.subscription.updated",
            "data": {"subscription_id": "sub_abc", "status": "active"},
        },
        source=DELIVERY,
    )
    event_factories.drain()

    assert WebhookEvent.objects.get().status == "processed"
    assert not Subscription.objects.exists()


def subscription_event(id: str, type: str = "customer.subscription.updated", **object: Any) -> dict[str, Any]:
    return event_factories.event(
        id, type, object={"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active"} | object
    )


def test_a_subscription_of_a_stranger_is_stored_without_an_owner(db: None) -> None:
    take_in([subscription_event("evt_1")])

    row = Subscription.objects.get()
    assert (row.customer.external_id, row.customer.user, row.plan) == ("cus_1", None, None)


def test_a_customer_that_we_made_is_linked_whatever_came_first(customer: Person) -> None:
    ours = Customer.objects.create(user=customer.user, provider="stripe")
    created = event_factories.event(
        "evt_2", "customer.created", object={"id": "cus_1", "object": "customer", "metadata": {"customer_id": ours.pk}}
    )

    take_in([subscription_event("evt_1"), created])

    assert Subscription.objects.get().customer == ours
    assert list(Customer.objects.values_list("external_id", flat=True)) == ["cus_1"]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_an_event_cannot_take_over_a_customer_that_is_linked_already(customer: Person, order: slice) -> None:
    ours = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_real")
    forged = event_factories.event(
        "evt_1", "customer.created", object={"id": "cus_2", "object": "customer", "metadata": {"customer_id": ours.pk}}
    )

    take_in([forged, subscription_event("evt_2", customer="cus_2")][order])

    ours.refresh_from_db()
    assert ours.external_id == "cus_real"
    assert Subscription.objects.get().customer.user is None


def test_a_deleted_customer_stays_deleted(db: None) -> None:
    def customer(id: str, type: str, at: int) -> dict[str, Any]:
        return event_factories.event(
            id, type, object={"id": "cus_1", "object": "customer", "email": "a@b.c"}, created=at
        )

    take_in([customer("evt_2", "customer.deleted", 200), customer("evt_1", "customer.updated", 300)])

    assert Customer.objects.get().deleted_at.timestamp() == 200


def session_event(checkout_id: str, **fields: Any) -> dict[str, Any]:
    session = {"id": "cs_1", "object": "checkout.session", "customer": "cus_1", "payment_status": "paid"}
    return event_factories.event(
        "evt_1", "checkout.session.completed", object=session | {"client_reference_id": checkout_id} | fields
    )


def test_a_payment_that_overtakes_our_own_commit_waits_for_it(customer: Person) -> None:
    checkout_id = new_id("chk")
    take_in([session_event(checkout_id, subscription="sub_1")])
    assert WebhookEvent.objects.get().status == "retry_scheduled"

    billing_customer = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Checkout.objects.create(id=checkout_id, customer=billing_customer, started_by=customer.user, plan_id="starter")
    event_factories.make_events_due()
    event_factories.drain()

    row = Checkout.objects.get()
    assert (row.status, row.external_id, row.subscription_id) == ("active", "cs_1", "sub_1")
    assert WebhookEvent.objects.get().status == "processed"


def test_a_checkout_of_another_system_at_the_same_account_is_ignored(db: None) -> None:
    take_in([session_event(new_id("chk"), subscription="sub_1")])
    WebhookEvent.objects.update(received_at=timezone.now() - COMMITTED_WITHIN)

    event_factories.make_events_due()
    event_factories.drain()

    event = WebhookEvent.objects.get()
    assert (event.status, event.last_error) == (
        "ignored",
        "Ignore: The checkout of this session is of another system at the same account.",
    )
    assert not Customer.objects.exists()


def test_a_session_of_somebody_else_is_kept_and_harms_nothing(db: None) -> None:
    take_in([session_event("order-17")])

    assert WebhookEvent.objects.get().status == "processed"
    assert Customer.objects.get().user is None


def test_a_session_that_expires_after_it_was_paid_stays_paid(customer: Person) -> None:
    billing_customer = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    checkout = Checkout.objects.create(customer=billing_customer, plan_id="starter")
    take_in([session_event(checkout.pk)])
    expired = session_event(checkout.pk, payment_status="unpaid") | {"id": "evt_2", "type": "checkout.session.expired"}

    take_in([expired])

    assert Checkout.objects.get().status == "active"


@pytest.mark.parametrize("foreign", [{"livemode": True}, {"account": "acct_other"}])
def test_events_of_the_other_mode_or_account_never_enter_a_fold(db: None, foreign: dict[str, Any]) -> None:
    append_event(subscription_event("evt_2", "customer.subscription.deleted") | foreign, source=DELIVERY)
    ours = append_event(subscription_event("evt_1"), source=DELIVERY)

    process_event(ours.pk)
    assert Subscription.objects.get().status == "active"
    event_factories.drain()
    assert Subscription.objects.get().status == "active"


def test_a_price_keeps_the_plan_that_we_gave_it(db: None) -> None:
    Price.objects.create(provider="stripe", external_id="price_1", plan_id="growth", is_current=True)
    price = {"id": "price_1", "object": "price", "active": False, "unit_amount": 7900, "currency": "usd"}

    take_in([event_factories.event("evt_1", "price.updated", object=price)])

    row = Price.objects.get(external_id="price_1")
    assert (row.plan_id, row.is_active, row.unit_amount_cents) == ("growth", False, 7900)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_product_is_what_all_its_events_tell_in_whatever_order(db: None, order: tuple[int, ...]) -> None:
    product = {"id": "prod_1", "object": "product", "active": True, "name": "Growth", "description": "For teams"}
    told = [
        event_factories.event("evt_1", "product.created", object=product, created=100),
        event_factories.event("evt_2", "product.updated", object=product | {"name": "Growth 2"}, created=200),
        event_factories.event("evt_3", "product.deleted", object=product | {"name": "Growth 2"}, created=300),
    ]

    take_in([told[number] for number in order])

    row = Product.objects.get(external_id="prod_1")
    assert (row.name, row.description, row.is_active) == ("Growth 2", "For teams", False)


def test_a_product_that_is_not_as_its_events_tell_is_found_and_put_right(db: None) -> None:
    take_in(
        [
            event_factories.event(
                "evt_1", "product.created", object={"id": "prod_1", "object": "product", "name": "Growth"}
            )
        ]
    )
    Product.objects.update(name="Tampered")

    assert list(rebuild_rows(repair=True)) == ["product prod_1 differs: name"]
    assert Product.objects.get().name == "Growth"
    assert list(rebuild_rows(repair=False)) == []


def test_access_by_a_known_price_follows_the_subscription(customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_1", plan_id="growth", is_current=True)
    line = {"id": "si_1", "quantity": 1, "price": {"id": "price_1", "unit_amount": 7900, "currency": "usd"}}

    take_in([subscription_event("evt_1", items={"data": [line]})])

    assert entitlements.get_limit(customer.user, "seats") == 25
    assert Subscription.objects.get().grants_access(now())


def test_a_delivery_over_http_reaches_the_subscription(webhooks: ServiceClient, db: None) -> None:
    body = event_factories.json_bytes(subscription_event("evt_1"))

    answer = webhooks.post("/api/webhooks/stripe", raw=body, headers=event_factories.signature_headers(body))
    event_factories.drain()

    assert answer.status_code == 202
    assert Subscription.objects.get().status == "active"


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_with_its_customer_a_subscription_is_over(customer: Person, order: slice) -> None:
    """Stripe ends it, too: only the event that would say so did not come."""
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    gone = {"id": "cus_1", "object": "customer", "deleted": True}
    told = [
        whole.event("customer.subscription.created", whole.subscription(), id="evt_1"),
        whole.event("customer.deleted", gone, id="evt_2", at=whole.AT + 3600),
    ]

    take_in(told[order])

    row = Subscription.objects.get()
    assert (row.status, row.ended_at.timestamp(), row.plan_id) == ("canceled", whole.AT + 3600, "growth")
    assert entitlements.get_limit(customer.user, "seats") == 3
    assert list(LedgerEntry.objects.order_by("number").values_list("kind", "event_id")) == [
        ("new", "evt_1"),
        ("canceled", "evt_2"),
    ]
    assert list(rebuild_rows(repair=False)) == []
    take_in([whole.event("customer.subscription.deleted", whole.subscription(), id="evt_3", at=whole.AT + 3599)])
    assert Subscription.objects.get().ended_at.timestamp() == whole.AT + 3599


@pytest.mark.parametrize("status", ["incomplete_expired", "canceled"])
def test_what_had_ended_before_its_customer_stays_as_it_was(customer: Person, status: str) -> None:
    """Of both there may be no event that ends in ``deleted``: an unpaid one expires, a cancellation may be fetched."""
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    ended = whole.subscription(status=status, canceled_at=whole.AT + 60, ended_at=whole.AT + 60)
    gone = {"id": "cus_1", "object": "customer", "deleted": True}
    take_in(
        [
            whole.event("customer.subscription.created", whole.subscription(), id="evt_1"),
            whole.event("customer.subscription.updated", ended, id="evt_2", at=whole.AT + 60),
            whole.event("customer.deleted", gone, id="evt_3", at=whole.AT + 3600),
        ]
    )

    row = Subscription.objects.get()
    assert (row.status, row.ended_at.timestamp(), row.canceled_at.timestamp()) == (
        status,
        whole.AT + 60,
        whole.AT + 60,
    )
    assert list(rebuild_rows(repair=False)) == []


def test_a_plan_states_what_the_provider_says_of_its_price(db: None, settings: Any) -> None:
    settings.BILLING_GATEWAY = "saas.billing.providers.stripe.gateway.StripeGateway"
    Price.objects.create(provider="stripe", external_id="price_1", plan_id="growth", is_current=True)

    take_in([whole.event("price.updated", whole.price("price_1", 8_900), id="evt_1")])
    assert Plan.objects.get(pk="growth").price_cents == 8_900

    take_in([whole.event("price.updated", whole.price("price_1", 8_900, active=False), id="evt_2", at=whole.AT + 9)])
    assert Plan.objects.get(pk="growth").price_cents is None
