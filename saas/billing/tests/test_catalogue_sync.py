"""Our plans at Stripe: made once, found again."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from saas.billing.catalogue.prices import change_price
from saas.billing.models import Plan, Price, PriceTerms
from saas.billing.tests import stripe_params
from saas.billing.tests.stripe_stand_in import Asked, StandIn, bill_through_stripe, stand_in

MISSING = (404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "none"}})


class Catalogue(StandIn):
    """A Stripe that keeps products and prices."""

    def answer(self, asked: Asked) -> tuple[int, Any]:
        with self.lock:
            self.asked.append(asked)
            kind, _, id = asked.path.removeprefix("/v1/").partition("/")
            return self._price(asked) if kind == "prices" else self._product(asked, id)

    def _product(self, asked: Asked, id: str) -> tuple[int, Any]:
        if id and id not in self.answers:
            return MISSING
        row = {"object": "product", "id": id or asked.fields["id"], "name": asked.fields["name"]}
        self.answers[row["id"]] = row
        return 200, row

    def _price(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET":
            there = self.answers.get(asked.fields["lookup_keys[0]"])
            return 200, {"object": "list", "data": [there] if there else [], "has_more": False, "url": asked.path}
        row = {"object": "price", "id": f"price_{len(self.answers)}", "product": asked.fields["product"]}
        self.answers[asked.fields["lookup_key"]] = row
        return 200, row


@pytest.fixture
def catalogue(db: None, settings: Any) -> Iterator[Catalogue]:
    with stand_in({}, Catalogue) as here:
        bill_through_stripe(settings, here.url, key="sk_test_catalogue")
        yield here
    told = [stripe_params.faults(f"{asked.method} {asked.path}", asked.fields) for asked in here.asked]
    assert [fault for faults in told for fault in faults] == []


def sync() -> list[str]:
    out = StringIO()
    call_command("stripe_sync_plans", stdout=out)
    return out.getvalue().splitlines()


def selling() -> dict[str, str]:
    return dict(Price.objects.filter(provider="stripe", is_current=True).values_list("plan_id", "external_id"))


def test_every_plan_becomes_a_product_with_a_price_that_sells_it(catalogue: Catalogue) -> None:
    told = sync()

    assert [sentence.endswith("which is new") for sentence in told] == [True, True, True]
    assert set(selling()) == {"starter", "growth", "scale"}
    made = [asked for asked in catalogue.asked if (asked.method, asked.path) == ("POST", "/v1/prices")]
    assert [asked.fields["unit_amount"] for asked in made] == ["1900", "7900", "24900"]
    assert len({asked.headers["Idempotency-Key"] for asked in made}) == 3


def test_a_second_run_makes_nothing(catalogue: Catalogue) -> None:
    sync()
    before, catalogue.asked[:] = selling(), []

    told = sync()

    assert not any("new" in sentence for sentence in told)
    assert {asked.method for asked in catalogue.asked} == {"GET"}
    assert selling() == before


def test_another_amount_is_a_new_price_and_the_earlier_keeps_its_plan(
    catalogue: Catalogue,
) -> None:
    sync()
    before = selling()["starter"]
    Plan.objects.filter(pk="starter").update(price_cents=2_500)

    sync()

    assert selling()["starter"] != before
    assert Price.objects.get(external_id=before).plan_id == "starter"
    assert len([row for row in catalogue.answers.values() if row["object"] == "product"]) == 3


def test_without_a_key_there_is_nothing_to_sync(db: None) -> None:
    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY is not set"):
        call_command("stripe_sync_plans")


@pytest.mark.parametrize(
    "again", [PriceTerms("usd", "month", 7_900), PriceTerms("usd", "month", 9_900, is_per_unit=True)]
)
def test_terms_that_stripe_had_before_are_a_price_of_their_own(catalogue: Catalogue, again: PriceTerms) -> None:
    """An amount of earlier, and the same amount per seat: who pays the earlier price keeps it."""
    first = change_price("growth", PriceTerms("usd", "month", 7_900), by="system")
    second = change_price("growth", PriceTerms("usd", "month", 9_900), by="system")

    third = change_price("growth", again, by="system")
    sync()

    third.refresh_from_db()
    assert len({first.external_id, second.external_id, third.external_id, None}) == 4
    assert selling()["growth"] == third.external_id
    keys = [it.headers["Idempotency-Key"] for it in catalogue.asked if it.path == "/v1/prices" and it.method == "POST"]
    assert len(set(keys)) == len(keys)
