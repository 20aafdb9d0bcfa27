"""Which item of a subscription is the plan: by its price, else its product, else its metadata."""

from typing import Any

import pytest

from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import entitlements, tasks
from saas.billing.models import Customer, Price, Product, Subscription
from saas.billing.plan_mapping import PlanIsKnown, map_price
from saas.billing.sync.rebuild import rebuild_rows
from saas.billing.tests.plan_limits import with_added_limits
from saas.errors import Invalid, NotFound
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

SEATS = whole.price("price_seats", 500, product="prod_seats")
GROWTH = whole.price()
YEARLY = whole.price("price_growth_year", 79_000, interval="year")
VERSIONS = [whole.CURRENT, whole.LEGACY]
FREE = with_added_limits({"teams": 1, "seats": 3, "api_keys": 1})
GROWTHS = with_added_limits({"teams": 10, "seats": 25, "api_keys": 10})


@pytest.fixture(autouse=True)
def catalogue(customer: Person) -> None:
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    for plan in ("starter", "growth", "scale"):
        Price.objects.create(provider="stripe", external_id=f"price_{plan}", plan_id=plan, is_current=True)


def tell(kind: str, thing: dict[str, Any], second: int = 0, version: str = whole.CURRENT) -> None:
    event = whole.event(kind, thing, id=f"evt_{kind}_{second}", at=whole.AT + second, version=version)
    append_event(event, source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()


def tell_of_items(*items: dict[str, Any], second: int = 0, version: str = whole.CURRENT) -> Subscription:
    thing = whole.subscription(*items, version=version)
    tell("customer.subscription.updated", thing, second, version)
    return Subscription.objects.get()


def facts(row: Subscription) -> tuple[str | None, bool, str, str, int]:
    return row.plan_id, row.plan_is_known, row.price_id, row.item_id, row.quantity


@pytest.mark.parametrize("version", VERSIONS)
def test_an_add_on_before_the_plan_is_not_the_plan(version: str) -> None:
    row = tell_of_items(
        whole.subscription_item(SEATS, 3, id="si_seats"),
        whole.subscription_item(GROWTH, 1, id="si_plan"),
        version=version,
    )

    assert facts(row) == ("growth", True, "price_growth", "si_plan", 1)
    assert row.monthly_cents == 7900 + 3 * 500


def test_of_two_plans_the_dearer_gives_access() -> None:
    scale = whole.price("price_scale", 24_900, product="prod_scale")

    row = tell_of_items(whole.subscription_item(GROWTH, id="si_a"), whole.subscription_item(scale, 2, id="si_b"))

    assert facts(row) == ("scale", True, "price_scale", "si_b", 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_another_price_of_the_same_product_is_the_same_plan(version: str, customer: Person) -> None:
    tell_of_items(whole.subscription_item(GROWTH), version=version)

    row = tell_of_items(whole.subscription_item(YEARLY), second=60, version=version)

    assert facts(row) == ("growth", True, "price_growth_year", "si_1", 1)
    assert (row.monthly_cents, entitlements.get_entitlements(customer.user).limits) == (6583, GROWTHS)


def test_a_product_with_prices_of_two_plans_tells_nothing() -> None:
    Price.objects.filter(external_id__in=["price_growth", "price_scale"]).update(product_id="prod_growth")

    assert facts(tell_of_items(whole.subscription_item(YEARLY)))[:2] == (None, False)


@pytest.mark.parametrize(
    "price",
    [
        whole.price("price_new", product="prod_new", metadata={"plan_id": "scale"}),
        whole.price("price_new", product=whole.product("prod_new", metadata={"plan_id": "scale"})),
    ],
    ids=["price", "expanded product"],
)
def test_metadata_name_the_plan(price: dict[str, Any]) -> None:
    assert facts(tell_of_items(whole.subscription_item(price)))[:3] == ("scale", True, "price_new")


def test_a_products_metadata_name_the_plan_also_when_told_afterwards(
    customer: Person, django_capture_on_commit_callbacks: Any
) -> None:
    tell_of_items(whole.subscription_item(whole.price("price_new", product="prod_new")))
    assert Subscription.objects.get().plan_id is None

    with django_capture_on_commit_callbacks() as bells:
        tell("product.created", whole.product("prod_new", metadata={"plan_id": "scale"}), second=9)
    tasks.remap_subscriptions("prod_new")

    assert len(bells) == 1
    assert Product.objects.get().named_plan_id == "scale"
    assert facts(Subscription.objects.get())[:2] == ("scale", True)
    assert entitlements.get_entitlements(customer.user).limits["seats"] is None


def test_metadata_that_name_no_plan_of_ours_say_nothing() -> None:
    price = whole.price("price_new", product="prod_new", metadata={"plan_id": "platinum"})

    assert facts(tell_of_items(whole.subscription_item(price)))[:2] == (None, False)


def test_our_own_word_on_a_price_beats_its_metadata() -> None:
    price = whole.price(metadata={"plan_id": "starter"})

    assert tell_of_items(whole.subscription_item(price)).plan_id == "growth"


STRANGE = whole.price("price_strange", 4200, product="prod_strange")


def test_an_unknown_price_leaves_access_as_it_was(customer: Person) -> None:
    tell_of_items(whole.subscription_item(GROWTH))

    row = tell_of_items(whole.subscription_item(STRANGE, id="si_9"), second=60)

    assert facts(row) == ("growth", False, "price_strange", "si_9", 1)
    assert (row.monthly_cents, entitlements.get_entitlements(customer.user).limits) == (4200, GROWTHS)


def test_an_unknown_price_from_the_start_gives_nothing(customer: Person) -> None:
    row = tell_of_items(whole.subscription_item(STRANGE))

    assert facts(row)[:2] == (None, False)
    assert entitlements.get_entitlements(customer.user).limits == FREE


def test_of_several_unknown_items_none_is_taken_for_the_plan() -> None:
    row = tell_of_items(whole.subscription_item(SEATS, 3, id="si_a"), whole.subscription_item(STRANGE, id="si_b"))

    assert row.item_id == ""


def test_the_rebuild_finds_what_the_events_tell() -> None:
    tell_of_items(whole.subscription_item(GROWTH))
    tell_of_items(whole.subscription_item(STRANGE), second=60)

    assert list(rebuild_rows(repair=False)) == []


def test_staff_say_which_plan_a_price_stands_for(customer: Person) -> None:
    row = tell_of_items(whole.subscription_item(STRANGE))
    staff_member = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)

    row = map_price(row, plan_id="scale", reason="An old offer", by=staff_member.user)

    assert facts(row)[:3] == ("scale", True, "price_strange")
    assert Price.objects.get(external_id="price_strange").is_current is False
    told = AuditEvent.objects.get(action="price.mapped")
    assert (told.actor, told.target, told.reason) == (staff_member.user.pk, row.pk, "An old offer")
    assert told.data == {"price": "price_strange", "plan": "scale"}


def test_of_several_items_staff_name_the_price() -> None:
    row = tell_of_items(whole.subscription_item(SEATS, 3, id="si_a"), whole.subscription_item(STRANGE, id="si_b"))
    staff_member = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)

    with pytest.raises(Invalid) as refusal:
        map_price(row, plan_id="scale", reason="An old offer", by=staff_member.user)
    row = map_price(row, plan_id="scale", price_id="price_strange", reason="An old offer", by=staff_member.user)

    assert refusal.value.errors == {
        "price_id": ["Choose one of the subscription's prices: price_seats, price_strange."]
    }
    assert facts(row) == ("scale", True, "price_strange", "si_b", 1)


def test_a_plan_that_is_known_or_not_there_is_refused() -> None:
    staff_member = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)
    row = tell_of_items(whole.subscription_item(GROWTH))

    with pytest.raises(PlanIsKnown):
        map_price(row, plan_id="scale", reason="No", by=staff_member.user)
    row = tell_of_items(whole.subscription_item(STRANGE), second=60)
    with pytest.raises(NotFound):
        map_price(row, plan_id="platinum", reason="No", by=staff_member.user)

    assert not AuditEvent.objects.filter(action="price.mapped").exists()
