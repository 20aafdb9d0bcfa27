"""A cancellation for a date (``cancel_at``), as Stripe's portal makes it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from saas.accounts.privacy.account_deletion import delete_account
from saas.billing import entitlements
from saas.billing.invoices import customer_mails
from saas.billing.models import Customer, Price, Subscription
from saas.billing.personal_data import StillSubscribed
from saas.billing.tests import stripe_params
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

PERIOD_END = whole.AT + whole.MONTH
IN_THE_PERIOD, LATER = PERIOD_END - 86_400, PERIOD_END + 60 * 86_400
VERSIONS = [whole.CURRENT, whole.LEGACY]


@pytest.fixture(autouse=True)
def catalogue(customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    for plan in ("starter", "growth"):
        Price.objects.create(provider="stripe", external_id=f"price_{plan}", plan_id=plan, is_current=True)


@pytest.fixture
def provider(settings: Any) -> Iterator[StandIn]:
    with stand_in({"POST /v1/subscriptions/sub_1": whole.subscription()}) as here:
        bill_through_stripe(settings, here.url)
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


def tell(version: str = whole.CURRENT, second: int = 0, **fields: Any) -> Subscription:
    thing = whole.subscription(version=version, **fields)
    event = whole.event("customer.subscription.updated", thing, id=f"evt_{second}", at=whole.AT + second)
    append_event({**event, "api_version": version}, source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()
    return Subscription.objects.get()


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def shown(product: ServiceClient, customer: Person) -> tuple[bool, str | None]:
    told = product.get("/api/subscriptions/current", token=customer.token).json()["subscription"]
    return told["cancel_at_period_end"], told["cancel_at"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("fields", "with_period", "ends_at"),
    [
        ({}, False, None),
        ({"cancel_at": PERIOD_END}, True, PERIOD_END),
        ({"cancel_at": IN_THE_PERIOD}, True, IN_THE_PERIOD),
        ({"cancel_at": LATER}, False, LATER),
        ({"cancel_at_period_end": True}, True, PERIOD_END),
        ({"cancel_at_period_end": True, "cancel_at": PERIOD_END}, True, PERIOD_END),
    ],
)
def test_it_is_shown_as_ending_on_its_day(
    product: ServiceClient,
    customer: Person,
    version: str,
    fields: dict[str, Any],
    with_period: bool,
    ends_at: int | None,
) -> None:
    row = tell(version, **fields)

    day = at(ends_at).strftime("%Y-%m-%dT%H:%M:%SZ") if ends_at else None
    assert shown(product, customer) == (with_period, day)
    assert row.access_ends_at == (at(ends_at) if ends_at else None)
    assert row.is_canceling is (ends_at is not None)


def test_what_it_gives_is_told_to_end_with_it(customer: Person) -> None:
    tell(cancel_at=LATER)

    [seats] = [detail for detail in entitlements.get_entitlements(customer.user).limit_details if detail.key == "seats"]
    assert seats.expires_at == at(LATER)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"cancel_at": LATER}, {"cancel_at": ""}),
        ({"cancel_at_period_end": True, "cancel_at": PERIOD_END}, {"cancel_at_period_end": "false"}),
    ],
    ids=["a day", "the period"],
)
def test_it_can_be_taken_back(
    product: ServiceClient, customer: Person, provider: StandIn, fields: dict[str, Any], sent: dict[str, str]
) -> None:
    tell(**fields)

    answer = product.post("/api/subscriptions/resume", token=customer.token)

    assert (answer.status_code, answer.json()["subscription"]["cancel_at"]) == (200, None)
    assert provider.asked[-1].fields == sent
    assert not Subscription.objects.get().is_canceling


def test_what_renews_has_nothing_to_take_back(product: ServiceClient, customer: Person, provider: StandIn) -> None:
    tell()

    answer = product.post("/api/subscriptions/resume", token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_resume")
    assert provider.asked == []


def test_its_end_takes_it_away(product: ServiceClient, customer: Person) -> None:
    tell(cancel_at=IN_THE_PERIOD)

    row = tell(second=99, status="canceled", cancel_at=IN_THE_PERIOD, ended_at=IN_THE_PERIOD)

    assert (row.status, row.is_canceling) == ("canceled", False)


def test_a_snapshot_without_items_takes_the_day_along() -> None:
    tell()

    row = tell(second=60, cancel_at=LATER, items={"object": "list", "data": [], "has_more": False, "url": "/"})

    assert (row.plan_id, row.cancel_at) == ("growth", at(LATER))


@pytest.mark.parametrize(("cancel_at", "mails"), [(None, 1), (LATER, 1), (PERIOD_END, 0), (IN_THE_PERIOD, 0)])
def test_a_trial_that_will_not_be_charged_is_not_announced(cancel_at: int | None, mails: int) -> None:
    tell(status="trialing", trial_end=PERIOD_END, cancel_at=cancel_at)

    customer_mails.send_trial_ending("sub_1")

    assert Mail.objects.filter(template="trial_ending").count() == mails


@pytest.mark.parametrize("cancel_at", [PERIOD_END, IN_THE_PERIOD])
def test_who_ends_with_the_period_may_leave(customer: Person, cancel_at: int) -> None:
    tell(cancel_at=cancel_at)

    delete_account(customer.user)


@pytest.mark.parametrize("cancel_at", [None, LATER])
def test_who_goes_on_paying_may_not_leave(customer: Person, cancel_at: int | None) -> None:
    tell(cancel_at=cancel_at)

    with pytest.raises(StillSubscribed):
        delete_account(customer.user)


def test_a_schedules_subscription_is_refused_in_stripes_own_words(
    product: ServiceClient, customer: Person, provider: StandIn
) -> None:
    tell()
    sentence = "The subscription is managed by the subscription schedule `sub_sched_1`, and updating it is not allowed."
    error = {"type": "invalid_request_error", "message": sentence}
    provider.answers["POST /v1/subscriptions/sub_1"] = [(400, {"error": error})]

    answer = product.post("/api/subscriptions/cancel", {}, token=customer.token)

    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (409, "provider_refused", sentence)
    assert not Subscription.objects.get().is_canceling
