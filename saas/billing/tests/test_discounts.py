"""Coupons wherever Stripe shows them: recurring revenue is what is charged, month after month."""

from collections.abc import Iterator
from typing import Any

import pytest

from saas.billing import tasks, webhook_handlers
from saas.billing.models import Customer, LedgerEntry, Subscription
from saas.billing.sync import rebuild
from saas.billing.sync.recurring_revenue import monthly_amount
from saas.billing.tests.stripe_stand_in import StandIn, bill_through_stripe, stand_in
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

DAY = 86_400
HALF = whole.coupon("half", percent_off=50.0, duration="forever")


@pytest.fixture
def stripe(settings: Any) -> Iterator[StandIn]:
    with stand_in({}) as here:
        bill_through_stripe(settings, here.url)
        yield here


def tell(type: str, thing: dict[str, Any], *, day: int = 0, **fields: Any) -> None:
    id = fields.pop("id", f"evt_{type}_{thing['id']}_{day}")
    append_event(
        whole.event(type, thing, id=id, at=whole.AT + day * DAY, **fields), source=WebhookEvent.Source.DELIVERY
    )
    event_factories.drain()


def monthly() -> int:
    return Subscription.objects.get().monthly_cents


def test_a_discount_on_the_subscription_is_read_when_stripe_is_asked(stripe: StandIn) -> None:
    discount = whole.discount("di_1", HALF, subscription="sub_1")
    tell("customer.subscription.created", whole.subscription(discounts=["di_1"]))
    row = Subscription.objects.get()
    assert (row.monthly_cents, row.attention) == (
        7900,
        "discount di_1 is named, and what it takes off is not known; price price_growth stands for no plan",
    )

    tell("customer.subscription.updated", whole.subscription(discounts=[discount]), day=1)

    assert monthly() == 3950
    assert "discount" not in Subscription.objects.get().attention


def test_a_discount_that_was_whole_once_is_known_by_its_id(stripe: StandIn) -> None:
    discount = whole.discount("di_1", HALF, subscription="sub_1")
    tell("customer.subscription.created", whole.subscription(discounts=[discount]))
    tell("customer.subscription.updated", whole.subscription(discounts=["di_1"]), day=1)

    assert monthly() == 3950


def test_a_customers_discount_counts_from_its_event_to_its_end(stripe: StandIn) -> None:
    discount = whole.discount("di_1", HALF, start=whole.AT + 2 * DAY)
    tell("customer.subscription.created", whole.subscription())
    tell("customer.discount.created", discount, day=2)
    assert monthly() == 3950

    tell("customer.discount.deleted", discount, day=5)

    assert monthly() == 7900
    rows = LedgerEntry.objects.order_by("number").values_list("kind", "delta_cents", "event_id")
    assert list(rows) == [
        ("new", 7900, "evt_customer.subscription.created_sub_1_0"),
        ("downgrade", -3950, "evt_customer.discount.created_di_1_2"),
        ("upgrade", 3950, "evt_customer.discount.deleted_di_1_5"),
    ]
    assert list(rebuild.rebuild_rows(repair=False)) == []


def test_a_discount_that_came_before_its_subscription_counts(stripe: StandIn) -> None:
    tell("customer.discount.created", whole.discount("di_1", HALF))
    tell("customer.subscription.created", whole.subscription(), day=1)

    assert monthly() == 3950


def test_a_subscriptions_own_discount_takes_the_customers_place(stripe: StandIn) -> None:
    tenth = whole.discount("di_2", whole.coupon("tenth", percent_off=10.0, duration="forever"), subscription="sub_1")
    tell("customer.discount.created", whole.discount("di_1", HALF))
    tell("customer.subscription.created", whole.subscription(discounts=[tenth]), day=1)

    assert monthly() == 7110


def test_a_coupon_that_is_only_named_is_asked_for(stripe: StandIn) -> None:
    stripe.answers["GET /v1/coupons/half"] = HALF
    tell("customer.subscription.created", whole.subscription())
    tell("customer.discount.created", whole.discount("di_1", "half"), day=1)

    assert monthly() == 3950
    assert [asked.path for asked in stripe.asked] == ["/v1/coupons/half"]


def test_a_discount_in_the_customers_own_snapshot_counts(stripe: StandIn) -> None:
    tell("customer.subscription.created", whole.subscription())
    tell("customer.updated", whole.customer(discount=whole.discount("di_1", HALF)), day=1)

    assert monthly() == 3950
    assert Customer.objects.get().email == "kim@example.net"


def test_a_repeating_discount_ends_with_its_last_month(stripe: StandIn) -> None:
    coupon = whole.coupon("three", percent_off=100.0, duration="repeating", duration_in_months=3)
    discount = whole.discount("di_1", coupon, subscription="sub_1", end=whole.AT + 90 * DAY)
    tell("customer.subscription.created", whole.subscription(discounts=[discount]))
    assert monthly() == 0

    tell("customer.subscription.updated", whole.subscription(discounts=[discount]), day=89)
    assert monthly() == 0
    tell("customer.subscription.updated", whole.subscription(discounts=[discount]), day=90)
    assert monthly() == 7900


def test_a_coupon_for_one_product_leaves_the_others() -> None:
    coupon = whole.coupon("half", percent_off=50.0, duration="forever", applies_to={"products": ["prod_growth"]})
    items = [
        whole.subscription_item(whole.price()),
        whole.subscription_item(whole.price("price_seat", 1000, product="prod_seat"), 3, id="si_2"),
    ]

    assert monthly_amount(whole.subscription(*items, discounts=[whole.discount("di_1", coupon)])).cents == 3950 + 3000


@pytest.mark.parametrize(
    ("fields", "cents"),
    [
        ({"tax_rates": [{"inclusive": True, "percentage": 19.0}]}, 6639),  # 7900 / 1.19
        ({"tax_rates": [{"inclusive": False, "percentage": 19.0}]}, 7900),
        ({"tax_rates": []}, 7900),
    ],
)
def test_a_tax_that_is_in_the_price_is_no_revenue(fields: dict[str, Any], cents: int) -> None:
    amount = monthly_amount(whole.subscription(whole.subscription_item(whole.price(), **fields)))

    assert (amount.cents, amount.faults) == (cents, ())


def test_an_included_tax_whose_rate_is_not_shown_is_said() -> None:
    item = whole.subscription_item(whole.price(tax_behavior="inclusive"))
    automatic = {**whole.subscription()["automatic_tax"], "enabled": True}

    amount = monthly_amount(whole.subscription(item, automatic_tax=automatic))

    assert amount.cents == 7900
    assert amount.faults == ("price price_growth includes a tax whose rate is not shown: counted with it",)


# ── Several currencies ───────────────────────────────────────────────────────────────────────────────────────────────


def five_euros(**fields: Any) -> dict[str, Any]:
    return whole.coupon("five", amount_off=500, percent_off=None, currency="eur", duration="forever", **fields)


@pytest.mark.parametrize(
    ("coupon", "cents", "faults"),
    [
        (five_euros(), 7900, ("discount di_1 is named, and what it takes off is not known",)),
        (five_euros(currency_options={"usd": {"amount_off": 600}}), 7300, ()),
        ({**five_euros(), "currency": "usd"}, 7400, ()),
    ],
)
def test_an_amount_off_is_of_the_subscriptions_currency(
    coupon: dict[str, Any], cents: int, faults: tuple[str, ...]
) -> None:
    amount = monthly_amount(whole.subscription(discounts=[whole.discount("di_1", coupon)]))

    assert (amount.cents, amount.faults) == (cents, faults)


@pytest.mark.parametrize(
    ("options", "cents", "faults"),
    [
        ({}, 0, ("price price_growth is in another currency, and is left out",)),
        ({"currency_options": {"eur": {"unit_amount": 7000, "unit_amount_decimal": "7000"}}}, 7000, ()),
        ({"currency_options": {"eur": {"unit_amount": None, "unit_amount_decimal": "7000.5"}}}, 7000, ()),
    ],
)
def test_a_price_of_several_currencies_counts_in_the_subscriptions(
    options: dict[str, Any], cents: int, faults: tuple[str, ...]
) -> None:
    price = whole.price(currency="usd", **options)

    amount = monthly_amount(whole.subscription(whole.subscription_item(price), currency="eur"))

    assert (amount.cents, amount.faults) == (cents, faults)


def test_a_discount_of_the_customer_keeps_its_currency() -> None:
    tell("customer.created", whole.customer())
    tell("customer.subscription.created", whole.subscription())
    tell("customer.discount.created", whole.discount("di_1", five_euros()), day=1)

    assert monthly() == 7900
    assert "discount di_1" in Subscription.objects.get().attention


SEVEN_EUROS = {"eur": {"unit_amount": 700, "unit_amount_decimal": "700"}}


def of_euros(**price: Any) -> dict[str, Any]:
    """A subscription in euros, of a price whose first currency is another."""
    return whole.subscription(whole.subscription_item(whole.price(currency="usd", **price)), currency="eur")


def test_what_an_answer_said_of_other_currencies_is_not_forgotten(stripe: StandIn) -> None:
    stripe.answers["GET /v1/subscriptions/sub_1"] = of_euros(currency_options=SEVEN_EUROS)
    tell("customer.subscription.created", of_euros())
    tasks.fetch_subscription("sub_1")
    assert monthly() == 700

    tell("customer.subscription.updated", of_euros(), day=10_000)

    row = Subscription.objects.get()
    assert (row.monthly_cents, row.hides_amounts) == (700, False)
    assert list(LedgerEntry.objects.values_list("kind", "delta_cents")) == [("new", 700)]


def test_a_discounts_amount_in_another_currency_is_not_forgotten(stripe: StandIn) -> None:
    options = {"currency_options": {"usd": {"amount_off": 600}}}
    tell("customer.subscription.created", whole.subscription(discounts=[whole.discount("di_1", five_euros(**options))]))

    tell("customer.subscription.updated", whole.subscription(discounts=[whole.discount("di_1", five_euros())]), day=1)

    assert monthly() == 7300


def test_a_customers_coupon_of_one_shown_currency_is_asked_for_once(stripe: StandIn) -> None:
    stripe.answers["GET /v1/coupons/five"] = five_euros(currency_options={"usd": {"amount_off": 600}})
    tell("customer.created", whole.customer())
    tell("customer.subscription.created", whole.subscription())
    tell("customer.discount.created", whole.discount("di_1", five_euros()), day=1)
    tell("coupon.updated", five_euros(), day=10_000)
    tell("customer.discount.updated", whole.discount("di_1", five_euros()), day=10_001)

    assert monthly() == 7300
    assert [asked.path for asked in stripe.asked] == ["/v1/coupons/five"]


@pytest.mark.parametrize(
    "shown",
    [of_euros(), whole.subscription(discounts=[whole.discount("di_1", five_euros())])],
    ids=["price", "discount"],
)
def test_an_answer_that_hides_amounts_asks_for_no_other(
    stripe: StandIn, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(webhook_handlers, "notify_workers", lambda task, *ids: asked.append((task.name, *ids)))
    stripe.answers["GET /v1/subscriptions/sub_1"] = shown
    tell("customer.subscription.created", shown)
    assert asked == [("saas.billing.tasks.fetch_subscription", "sub_1")]

    tasks.fetch_subscription("sub_1")

    assert len(asked) == 1
    assert Subscription.objects.get().hides_amounts


def test_for_which_product_a_discount_is_is_not_forgotten(stripe: StandIn) -> None:
    """Only an answer that was asked for it shows it, and lists show the rest of the coupon."""
    half = whole.coupon("half", percent_off=50.0, duration="forever")
    of_seats = whole.discount("di_1", {**half, "applies_to": {"products": ["prod_seat"]}})
    items = [
        whole.subscription_item(whole.price()),
        whole.subscription_item(whole.price("price_seat", 1000, product="prod_seat"), id="si_2"),
    ]
    tell("customer.subscription.created", whole.subscription(*items, discounts=[of_seats]))
    assert monthly() == 7900 + 500

    tell("customer.subscription.updated", whole.subscription(*items, discounts=[whole.discount("di_1", half)]), day=1)

    assert monthly() == 7900 + 500
