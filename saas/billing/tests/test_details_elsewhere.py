"""Billing details that are given on Stripe's own pages are shown here; the later change counts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from saas.accounts.models import User
from saas.billing import clock
from saas.billing.customers import ensure_provider_customer, get_or_create_customer
from saas.billing.invoices import billed_to
from saas.billing.invoices.details_elsewhere import SENDING
from saas.billing.models import BillingDetails, Customer, TaxId
from saas.billing.providers import current_gateway
from saas.billing.sync import profiles, reconcile
from saas.billing.sync.rebuild import rebuild_rows
from saas.billing.tests.fake_stripe import FakeStripe, refusal
from saas.billing.tests.samples import FOLDER
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

AT = whole.AT
BERLIN = {"line1": "Linden 1", "line2": None, "postal_code": "10969", "city": "Berlin", "state": None, "country": "DE"}
VIENNA = {"line1": "Ring 2", "line2": None, "postal_code": "1010", "city": "Wien", "state": None, "country": "AT"}
NOWHERE = dict.fromkeys(BERLIN)
TAX_IDS = "/v1/customers/cus_1/tax_ids"
_numbers = count(1)


@pytest.fixture(autouse=True)
def stripe(settings: Any) -> Iterator[FakeStripe]:
    answers = {
        "POST /v1/customers/cus_1": whole.customer(),
        "GET /v1/customers/cus_1": whole.customer(),
        f"GET {TAX_IDS}": whole.list_page([], TAX_IDS),
        "GET /v1/subscriptions": whole.list_page([], "/v1/subscriptions"),
        "GET /v1/invoices": whole.list_page([], "/v1/invoices"),
        "GET /v1/payment_methods": whole.list_page([], "/v1/payment_methods"),
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        yield here


@pytest.fixture
def known(customer: Person) -> Customer:
    told = {"told_email": customer.user.email, "told_name": customer.user.full_name}
    return Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1", **told)


def tell(type: str, thing: dict[str, Any], *, at: int = AT, **data: Any) -> None:
    event = whole.event(type, thing, id=f"evt_elsewhere_{next(_numbers)}", at=at, **data)
    event["livemode"] = thing["livemode"]
    row = append_event(event, source=WebhookEvent.Source.DELIVERY)
    event_worker.process_event(row.pk)
    row.refresh_from_db()
    assert row.status == "processed", row.last_error


def tell_customer(*, at: int = AT, **fields: Any) -> None:
    tell("customer.updated", whole.customer(**{"name": "Kim Example", **fields}), at=at)


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def save(person: Person, *, at: int, is_sent: bool = True, **changes: str) -> None:
    """Save here, as of ``at``."""
    nothing = dict.fromkeys(BERLIN, "")
    values = {**nothing, "tax_id_kind": "", "tax_id": "", **{name: text or "" for name, text in changes.items()}}
    billed_to.save_billing_details(person.user, by=person.user, **values)
    BillingDetails.objects.update(changed_at=moment(at))
    if is_sent:
        Customer.objects.update(told_details_at=moment(at))


def shown(person: Person) -> BillingDetails:
    return billed_to.find_billing_details(person.user)


def test_an_address_given_at_stripe_is_shown_here_and_not_sent_back(customer: Person, known: Customer) -> None:
    tell_customer(address=BERLIN)

    assert shown(customer).address == {name: text for name, text in BERLIN.items() if text}
    assert profiles.send_changed_profiles() == 0


def test_a_teams_is_the_teams(customer: Person) -> None:
    team = apps.get_model("teams", "Team").objects.create(name="Example", owner=customer.user)
    Customer.objects.create(team=team, provider="stripe", external_id="cus_1")

    tell_customer(address=BERLIN)

    assert billed_to.find_billing_details(team).city == "Berlin"
    assert not shown(customer).city


@pytest.mark.parametrize(("here", "expected"), [(AT - 60, "Wien"), (AT + 60, "Berlin")])
def test_the_later_change_counts(customer: Person, known: Customer, here: int, expected: str) -> None:
    save(customer, at=here, **BERLIN)

    tell_customer(address=VIENNA)

    assert shown(customer).city == expected


def test_an_address_that_was_there_before_does_not_come_back_with_another_change(
    customer: Person, known: Customer
) -> None:
    tell_customer(address=VIENNA)
    save(customer, at=AT + 60, **BERLIN)

    tell_customer(address=VIENNA, at=AT + 120, phone="+43 1 2345")

    assert shown(customer).city == "Berlin"


def test_events_in_the_wrong_order_leave_the_newest(customer: Person, known: Customer) -> None:
    tell_customer(address=VIENNA, at=AT + 60)
    tell_customer(address=BERLIN, at=AT)

    assert shown(customer).city == "Wien"


@pytest.mark.parametrize(("later", "expected"), [(1, "Berlin"), (int(SENDING.total_seconds()) + 1, "Wien")])
def test_what_was_sent_before_does_not_undo_what_waits_to_be_sent(
    customer: Person, known: Customer, later: int, expected: str
) -> None:
    save(customer, at=AT, is_sent=False, **BERLIN)

    tell_customer(address=VIENNA, at=AT + later)

    assert shown(customer).city == expected


def test_an_address_taken_away_at_stripe_goes_here(customer: Person, known: Customer) -> None:
    tell_customer(address=BERLIN)

    tell_customer(address=NOWHERE, at=AT + 60)

    assert shown(customer).address == {}


def test_what_came_from_there_may_be_emptied_here(customer: Person, known: Customer, stripe: FakeStripe) -> None:
    tell_customer(address=BERLIN)
    save(customer, at=AT + 60, is_sent=False)

    assert profiles.send_changed_profiles() == 1

    assert stripe.asked[0].fields["address"] == ""


@pytest.mark.parametrize(
    ("has_tax_id", "fields", "expected"),
    [
        (True, {"name": "Example GmbH"}, "Example GmbH"),
        (True, {"name": "KIM EXAMPLE"}, ""),
        (True, {"name": None}, ""),
        (False, {"name": "Kim M. Example"}, ""),
        (False, {"business_name": "Example GmbH"}, "Example GmbH"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_business_name_is_the_companys_and_the_name_of_who_has_a_tax_id(
    customer: Person, known: Customer, has_tax_id: bool, fields: dict[str, Any], expected: str, is_first: bool
) -> None:
    steps = [lambda: tell_customer(address=BERLIN, **fields)]
    if has_tax_id:
        steps.insert(int(is_first), lambda: tell("customer.tax_id.created", whole.tax_id()))

    for step in steps:
        step()

    assert (shown(customer).city, shown(customer).company_name) == ("Berlin", expected)


@pytest.mark.parametrize("ids", [("evt_1", "evt_2"), ("evt_2", "evt_1")])
def test_of_two_events_of_one_second_the_later_counts(customer: Person, known: Customer, ids: tuple[str, str]) -> None:
    """Their ids have no order, but each shows what was before it."""
    first = whole.event("customer.updated", whole.customer(name="Kim Example", address=BERLIN), id=ids[0], at=AT)
    first["data"]["previous_attributes"] = {"address": None}
    paid = {"default_payment_method": "pm_1"}
    there = whole.customer(name="Kim Example", address=VIENNA, invoice_settings=paid)
    second = whole.event("customer.updated", there, id=ids[1], at=AT)
    second["data"]["previous_attributes"] = {"address": BERLIN}
    for event in (first, second):
        event_worker.process_event(append_event(event, source=WebhookEvent.Source.DELIVERY).pk)

    assert shown(customer).city == "Wien"


def test_an_earlier_name_of_the_person_is_no_companys(customer: Person, known: Customer) -> None:
    User.objects.filter(pk=customer.user.pk).update(full_name="Kim New")  # waits to be sent

    tell_customer(name="Kim Middle")

    assert not BillingDetails.objects.exists()


def test_a_company_name_given_here_is_sent_as_the_name(customer: Person, known: Customer, stripe: FakeStripe) -> None:
    save(customer, at=AT, is_sent=False, company_name="Example GmbH")
    stripe.answers["POST /v1/customers/cus_1"] = whole.customer(name="Example GmbH")

    profiles.send_changed_profiles()

    assert stripe.asked[0].fields["name"] == "Example GmbH"
    tell_customer(name="Example GmbH", at=AT + 1)
    assert shown(customer).company_name == "Example GmbH"


def test_a_tax_id_given_at_stripe_is_shown_with_its_state(customer: Person, known: Customer) -> None:
    tell("customer.tax_id.created", whole.tax_id())
    row = shown(customer)
    assert (row.tax_id_kind, row.tax_id, billed_to.tax_id_state(row)) == ("eu_vat", "DE136695976", "pending")

    tell("customer.tax_id.updated", whole.tax_id(status="unverified"), at=AT + 60)

    assert billed_to.tax_id_state(shown(customer)) == "unverified"
    assert profiles.send_changed_profiles() == 0
    assert list(rebuild_rows(repair=False)) == []


def test_a_tax_id_typed_here_has_the_state_that_stripe_tells(customer: Person, known: Customer) -> None:
    save(customer, at=AT + 60, tax_id_kind="eu_vat", tax_id="DE136695976")
    assert billed_to.tax_id_state(shown(customer)) == "pending"

    tell("customer.tax_id.updated", whole.tax_id(status="verified"), at=AT + 90)

    assert billed_to.tax_id_state(shown(customer)) == "verified"


def test_what_was_given_together_is_taken_over_in_any_order(customer: Person, known: Customer) -> None:
    tell_customer(address=BERLIN, at=AT + 1)
    tell("customer.tax_id.created", whole.tax_id())

    assert (shown(customer).city, shown(customer).tax_id) == ("Berlin", "DE136695976")


@pytest.mark.parametrize("in_order", [True, False])
def test_of_several_the_newest_is_shown(customer: Person, known: Customer, in_order: bool) -> None:
    events: list[tuple[str, dict[str, Any]]] = [
        ("txi_2", {"value": "ATU12345675", "created": AT + 60}),
        ("txi_1", {"created": AT}),
    ]
    for id, fields in reversed(events) if in_order else events:
        tell("customer.tax_id.created", whole.tax_id(id, **fields), at=fields["created"])

    assert shown(customer).tax_id == "ATU12345675"
    assert TaxId.objects.live().count() == 2


def test_a_tax_id_deleted_at_stripe_goes_here_and_the_other_is_shown(customer: Person, known: Customer) -> None:
    tell("customer.tax_id.created", whole.tax_id("txi_1"))
    tell("customer.tax_id.created", whole.tax_id("txi_2", value="ATU12345675", created=AT + 60), at=AT + 60)

    tell("customer.tax_id.deleted", whole.tax_id("txi_2", value="ATU12345675", created=AT + 60), at=AT + 120)
    assert shown(customer).tax_id == "DE136695976"
    tell("customer.tax_id.deleted", whole.tax_id("txi_1"), at=AT + 180)

    assert (shown(customer).tax_id_kind, shown(customer).tax_id) == ("", "")


def test_our_replacement_is_not_undone_by_its_own_events(customer: Person, known: Customer) -> None:
    tell("customer.tax_id.created", whole.tax_id("txi_1"))
    save(customer, at=AT + 60, tax_id_kind="eu_vat", tax_id="ATU13585627")

    tell("customer.tax_id.deleted", whole.tax_id("txi_1"), at=AT + 61)
    assert shown(customer).tax_id == "ATU13585627"
    tell("customer.tax_id.created", whole.tax_id("txi_2", value="ATU13585627", created=AT + 61), at=AT + 61)

    assert shown(customer).tax_id == "ATU13585627"


def test_of_a_kind_that_is_not_taken_here_nothing_is_taken_over(customer: Person, known: Customer) -> None:
    tell("customer.tax_id.created", whole.tax_id(type="de_stn", value="1234567890"))

    assert not BillingDetails.objects.exists()
    assert TaxId.objects.get().kind == "de_stn"


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": None},
        {"value": None},
        {"value": "1" * 41},
        {"value": None, "type": 7},
        {"created": "soon"},
    ],
)
def test_a_tax_id_in_an_odd_shape_breaks_nothing(customer: Person, known: Customer, fields: dict[str, Any]) -> None:
    tell("customer.tax_id.created", whole.tax_id(**fields))

    assert TaxId.objects.get().customer == known


def test_a_customer_without_an_owner_gives_nobody_anything(db: None) -> None:
    tell_customer(address=BERLIN, name="Example GmbH")
    tell("customer.tax_id.created", whole.tax_id())

    assert not BillingDetails.objects.exists()


def test_of_an_account_that_is_gone_nothing_is_stored(customer: Person, known: Customer) -> None:
    User.objects.filter(pk=customer.user.pk).update(status=User.Status.DELETED)

    tell_customer(address=BERLIN, name="Example GmbH")
    tell("customer.tax_id.created", whole.tax_id())

    assert not BillingDetails.objects.exists()


def test_the_nightly_reconciliation_finds_what_no_event_told(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    tell("customer.tax_id.created", whole.tax_id("txi_1", value="ATU12345675"))
    there = whole.tax_id("txi_2", created=AT + 60, status="verified")
    stripe.answers[f"GET {TAX_IDS}"] = whole.list_page([there], TAX_IDS)
    stripe.answers["GET /v1/customers/cus_1"] = whole.customer(address=VIENNA, name="Example GmbH")

    assert len(list(reconcile.reconcile_customers())) == 3  # the customer, the new tax id, and the one that is gone

    row = shown(customer)
    assert (row.city, row.company_name, row.tax_id) == ("Wien", "Example GmbH", "DE136695976")
    assert len(list(reconcile.reconcile_customers())) == 0


def test_the_nightly_reconciliation_takes_over_an_address_alone(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    tell_customer()  # all else is known
    stripe.answers["GET /v1/customers/cus_1"] = whole.customer(name="Kim Example", address=VIENNA)

    assert len(list(reconcile.reconcile_customers())) == 1

    assert shown(customer).city == "Wien"
    assert len(list(reconcile.reconcile_customers())) == 0


def test_the_nightly_reconciliation_leaves_what_waits_to_be_sent(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    tell_customer()
    save(customer, at=AT, is_sent=False, **BERLIN)
    stripe.answers["GET /v1/customers/cus_1"] = whole.customer(name="Kim Example", address=VIENNA)

    assert len(list(reconcile.reconcile_customers())) == 0

    assert shown(customer).city == "Berlin"


@pytest.mark.parametrize("is_live", [True, False])
def test_a_tax_id_that_is_gone_is_stored_in_the_mode_of_the_service(
    customer: Person, known: Customer, stripe: FakeStripe, settings: Any, is_live: bool
) -> None:
    settings.STRIPE_LIVEMODE = is_live
    stripe.answers["GET /v1/customers/cus_1"] = whole.customer(livemode=is_live)
    tell("customer.tax_id.created", whole.tax_id(livemode=is_live))

    list(reconcile.reconcile_customers())

    assert not TaxId.objects.live().exists()
    assert shown(customer).tax_id == ""


def test_a_tax_id_that_was_made_while_stripe_was_asked_stays(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    now = int(clock.now().timestamp())
    tell("customer.tax_id.created", whole.tax_id(created=now), at=now)

    list(reconcile.reconcile_customers())

    assert TaxId.objects.live().count() == 1


@pytest.mark.parametrize("column", ["deleted_at", "replaced_at"])
def test_tax_ids_of_a_customer_that_is_no_more_stand_on_no_invoice(
    customer: Person, known: Customer, column: str
) -> None:
    tell("customer.tax_id.created", whole.tax_id())
    Customer.objects.update(**{column: clock.now()})

    assert not TaxId.objects.live().exists()
    assert billed_to.tax_id_state(shown(customer)) == "pending"


REFUSED = refusal("Invalid value for eu_vat.", code="tax_id_invalid", param="value")


def test_a_tax_id_that_stripe_does_not_take_is_told_and_not_tried_again(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    stripe.answers[f"POST {TAX_IDS}"] = [REFUSED]
    save(customer, at=AT, is_sent=False, **{**BERLIN, "tax_id_kind": "eu_vat", "tax_id": "DE136695976"})

    assert [profiles.send_changed_profiles(), profiles.send_changed_profiles()] == [1, 0]

    row = shown(customer)
    assert (billed_to.tax_id_state(row), row.tax_id_refusal) == ("refused", "Invalid value for eu_vat.")
    assert stripe.asked[0].fields["address[city]"] == "Berlin"  # the address has arrived all the same
    known.refresh_from_db()
    assert known.profile_failures == 0


def test_a_refused_tax_id_that_is_saved_again_is_tried_once_more(
    customer: Person, known: Customer, stripe: FakeStripe
) -> None:
    stripe.answers[f"POST {TAX_IDS}"] = [REFUSED, (200, whole.tax_id(status="verified"))]
    given = {"tax_id_kind": "eu_vat", "tax_id": "DE136695976"}
    save(customer, at=AT, is_sent=False, **given)
    profiles.send_changed_profiles()

    save(customer, at=AT + 60, is_sent=False, **given)
    profiles.send_changed_profiles()

    assert billed_to.tax_id_state(shown(customer)) == "verified"


def test_a_refused_tax_id_keeps_nobody_from_buying(customer: Person, stripe: FakeStripe) -> None:
    error = refusal("Invalid value for eu_vat.", code="tax_id_invalid", param="tax_id_data[0][value]")
    stripe.answers["POST /v1/customers"] = [error, (200, whole.customer())]
    stripe.answers["GET /v1/customers"] = whole.list_page([], "/v1/customers")
    stripe.answers["GET /v1/customers/search"] = {"object": "search_result", "data": [], "has_more": False}
    save(customer, at=AT, is_sent=False, tax_id_kind="eu_vat", tax_id="DE136695976")
    gateway = current_gateway()

    made = ensure_provider_customer(get_or_create_customer(customer.user, gateway), customer.user, gateway)

    assert made.external_id == "cus_1"
    assert billed_to.tax_id_state(shown(customer)) == "refused"
    sent = [asked.fields for asked in stripe.asked if asked.method == "POST"]
    assert "tax_id_data[0][value]" in sent[0]
    assert not any(name.startswith("tax_id_data") for name in sent[1])


def test_the_sixth_tax_id_takes_the_place_of_one(customer: Person, known: Customer, stripe: FakeStripe) -> None:
    there = [whole.tax_id(f"txi_{number}", value=f"ATU1234567{number}") for number in range(5)]
    stripe.answers[f"GET {TAX_IDS}"] = whole.list_page(there, TAX_IDS)
    stripe.answers[f"POST {TAX_IDS}"] = whole.tax_id("txi_9")
    for one in there:
        stripe.answers[f"DELETE {TAX_IDS}/{one['id']}"] = {"id": one["id"], "object": "tax_id", "deleted": True}
    save(customer, at=AT, is_sent=False, tax_id_kind="eu_vat", tax_id="DE136695976")

    assert profiles.send_changed_profiles() == 1

    methods = [asked.method for asked in stripe.asked if TAX_IDS in asked.path]
    assert methods == ["GET", "DELETE", "POST", "DELETE", "DELETE", "DELETE", "DELETE"]
    assert [row.value for row in TaxId.objects.live()] == ["DE136695976"]


RESOURCES = FOLDER / "fixtures3.json"

if RESOURCES.exists():  # an extra, beside the objects of our own above

    def test_stripes_own_examples_are_taken_over(customer: Person) -> None:
        examples = json.loads(Path(RESOURCES).read_text(encoding="utf-8"))["resources"]
        tax_id, there = examples["tax_id"], examples["customer"]
        there = {**there, "address": VIENNA}
        Customer.objects.create(user=customer.user, provider="stripe", external_id=there["id"])

        tell("customer.updated", there)
        tell("customer.tax_id.created", {**tax_id, "customer": there["id"]})

        row = shown(customer)
        assert (row.city, row.tax_id, billed_to.tax_id_state(row)) == ("Wien", "DE123456789", "pending")
