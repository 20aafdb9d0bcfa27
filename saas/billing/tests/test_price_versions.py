"""Versions of prices: changing one makes another, and who bought the old keeps it."""

import pytest
from django.core.management import call_command

from saas.audit.models import AuditEvent
from saas.billing.catalogue import seed_plans
from saas.billing.catalogue.offers import NotForSale, find_offer, plans_without_price
from saas.billing.catalogue.plan_file import export_plans
from saas.billing.catalogue.prices import change_price, fetch_untold_prices, retire_price
from saas.billing.checkouts import start_checkout
from saas.billing.models import Plan, Price, PriceTerms, Subscription
from saas.billing.models.catalogue import listed_prices
from saas.billing.tasks import do_daily_work
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.billing.tests.test_stripe_gateway import BUSY
from saas.errors import Invalid, NotFound
from saas.operations.invariants import find_violations
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person

DEARER = PriceTerms("usd", "month", 9_900)


def growth() -> Plan:
    return Plan.objects.get(pk="growth")


def test_another_price_is_another_version_and_the_old_keeps_its_buyers(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    before = find_offer(growth())

    new = change_price("growth", DEARER, by="system", reason="Costs rose.")

    before.refresh_from_db()
    assert (before.is_current, before.replaced_at is None, before.plan_id) == (False, False, "growth")
    assert (new.version, new.is_current, new.unit_amount_cents) == (2, True, 9_900)
    assert find_offer(growth()) == new
    assert growth().price_monthly == 99
    bought = Subscription.objects.get()
    assert (bought.price_id, bought.monthly_cents, bought.plan_id) == (before.external_id, 7_900, "growth")
    event = AuditEvent.objects.get(action="price.changed")
    assert (event.target, event.reason, event.data["unit_amount_cents"]) == ("growth", "Costs rose.", 9_900)


def test_the_same_terms_again_change_nothing(db: None) -> None:
    first = change_price("growth", DEARER, by="system")
    again = change_price("growth", DEARER, by="system")

    assert again == first
    assert AuditEvent.objects.filter(action="price.changed").count() == 1


def test_going_back_to_an_earlier_amount_is_a_third_version(db: None) -> None:
    change_price("growth", DEARER, by="system")
    back = change_price("growth", PriceTerms("usd", "month", 7_900), by="system")

    assert (back.version, Price.objects.filter(plan_id="growth", is_current=True).count()) == (3, 1)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (PriceTerms("xyz", "month", 100), "currency"),
        (PriceTerms("USD", "month", 100), "currency"),
        (PriceTerms("usd", "week", 100), "interval"),
        (PriceTerms("usd", "month", -1), "unit_amount_cents"),
        (PriceTerms("usd", "month", 100_000_000), "unit_amount_cents"),
        (PriceTerms("usd", "month", 100, is_per_unit=True, included_quantity=0), "included_quantity"),
        (PriceTerms("usd", "month", 100, included_quantity=5), "included_quantity"),
    ],
)
def test_unusable_terms_are_refused_and_change_nothing(db: None, terms: PriceTerms, field: str) -> None:
    before = list(Price.objects.order_by("pk").values())

    with pytest.raises(Invalid) as refused:
        change_price("growth", terms, by="system")

    assert list(refused.value.errors or {}) == [field]
    assert list(Price.objects.order_by("pk").values()) == before


def test_a_plan_that_is_not_there_has_no_price(db: None) -> None:
    with pytest.raises(NotFound):
        change_price("gold", DEARER, by="system")


def test_a_retired_price_sells_no_longer(db: None) -> None:
    retire_price(find_offer(growth()), by="system")

    assert growth().price_cents is None
    with pytest.raises(NotForSale):
        find_offer(growth())


def test_the_offer_is_by_interval_and_currency(db: None) -> None:
    yearly = change_price("growth", PriceTerms("usd", "year", 79_000), by="system")
    euro = change_price("growth", PriceTerms("eur", "year", 75_000), by="system")

    assert find_offer(growth()).unit_amount_cents == 7_900
    assert find_offer(growth(), interval="year") == yearly
    assert find_offer(growth(), currency="EUR") == euro
    with pytest.raises(Invalid, match="valid") as refused:
        find_offer(growth(), currency="gbp")
    assert refused.value.errors == {"currency": ["This plan is sold in eur, usd."]}
    with pytest.raises(Invalid) as refused:
        find_offer(growth(), currency="eur", interval="month")
    assert refused.value.errors == {"interval": ["In eur this plan is sold by the year."]}


def test_seeding_leaves_what_was_edited(db: None) -> None:
    change_price("growth", DEARER, by="system")
    Plan.objects.filter(pk="starter").update(name="Solo", limits={"seats": 1}, is_active=False)
    before = (list(Plan.objects.order_by("id").values()), list(Price.objects.order_by("pk").values()))

    seed_plans()

    assert (list(Plan.objects.order_by("id").values()), list(Price.objects.order_by("pk").values())) == before


@pytest.fixture
def stripe(settings) -> None:
    bill_through_stripe(settings, "http://127.0.0.1:9")
    settings.STRIPE_PRICES = ["growth:price_g", "starter:price_s", "scale:price_x"]


def test_the_prices_of_the_settings_sell_without_a_seed(db: None, stripe: None) -> None:
    assert [find_offer(plan).external_id for plan in Plan.objects.in_order()] == ["price_s", "price_g", "price_x"]


def test_a_price_changed_later_outlives_the_settings(db: None, stripe: None) -> None:
    find_offer(growth())
    new = change_price("growth", DEARER, by="system", external_id="price_new")
    seed_plans()

    assert (find_offer(growth()), new.version) == (new, 2)


def test_a_price_of_the_settings_keeps_what_the_provider_said_of_it(db: None, stripe: None) -> None:
    Price.objects.create(
        provider="stripe", external_id="price_g", unit_amount_cents=70_000, currency="eur", interval="year"
    )

    found = find_offer(growth())

    assert (found.unit_amount_cents, found.currency, found.interval, found.plan_id) == (70_000, "eur", "year", "growth")


def test_doctor_names_the_plans_that_nobody_can_buy(db: None, stripe: None, settings) -> None:
    assert [str(it) for it in find_violations() if it.name.startswith("billing.")] == []
    settings.STRIPE_PRICES = ["starter:price_s", "gold:price_o"]

    found = {(it.name, it.subject) for it in find_violations()}

    assert found == {
        ("billing.plans_on_sale_have_a_price", "growth"),
        ("billing.plans_on_sale_have_a_price", "scale"),
        ("billing.configured_prices_name_our_plans", "gold"),
    }


def test_the_products_readiness_fails_where_a_plan_cannot_be_bought(db: None, stripe: None, settings) -> None:
    from saas.billing.catalogue.offers import require_prices

    assert require_prices() == "every plan has a price"
    Price.objects.create(provider="stripe", external_id="price_s", plan_id="starter", is_current=True, is_active=False)
    settings.STRIPE_PRICES = ["starter:price_s"]
    assert "starter" in plans_without_price()  # doctor says it; one archived price closes no service

    with pytest.raises(NotForSale, match="No price sells growth, scale:"):
        require_prices()


def test_the_local_provider_sells_every_plan(db: None) -> None:
    call_command("seed", verbosity=0)

    assert {find_offer(plan).provider for plan in Plan.objects.all()} == {"local"}


@pytest.mark.parametrize(("interval", "count"), [("month", 3), ("week", 1)])
def test_a_price_by_the_quarter_or_week_is_not_sold_as_one_by_the_month(
    db: None, stripe: None, interval: str, count: int
) -> None:
    terms = {"unit_amount_cents": 5_700, "currency": "usd", "interval": interval, "interval_count": count}
    Price.objects.create(provider="stripe", external_id="price_g", plan_id="growth", is_current=True, **terms)

    with pytest.raises(NotForSale):
        find_offer(growth())
    assert [row.external_id for row in listed_prices("stripe")] == []
    assert plans_without_price() == ["growth"]
    assert "price_g" not in export_plans()


def test_stripe_is_asked_once_what_a_price_costs_whose_id_was_put_in(db: None, settings) -> None:
    Price.objects.create(provider="stripe", external_id="price_1", plan_id="growth", is_current=True)
    Price.objects.create(provider="stripe", external_id="price_2", plan_id="scale", is_current=True)
    with stand_in({"GET /v1/prices/price_1": whole.price("price_1", 8_900)}) as here:
        bill_through_stripe(settings, here.url)
        do_daily_work()
        event_factories.drain()
        do_daily_work()

    asked = [call.path for call in here.asked]
    assert (asked.count("/v1/prices/price_1"), asked.count("/v1/prices/price_2")) == (
        1,
        2,
    )  # the other is not known there
    assert (growth().price_cents, Price.objects.get(external_id="price_1").unit_amount_cents) == (8_900, 8_900)


def test_a_stripe_that_is_away_is_not_asked_about_the_next_price(db: None, settings) -> None:
    Price.objects.create(provider="stripe", external_id="price_1", plan_id="growth", is_current=True)
    Price.objects.create(provider="stripe", external_id="price_2", plan_id="scale", is_current=True)
    with stand_in({"GET /v1/prices/price_1": [BUSY], "GET /v1/prices/price_2": [BUSY]}) as here:
        bill_through_stripe(settings, here.url)
        fetch_untold_prices()

    assert {call.path for call in here.asked} == {"/v1/prices/price_1"}
